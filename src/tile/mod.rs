//! A window of a field → a tile.
