//! Physical quantities and their names.

use std::sync::Arc;

/// A physical quantity. Values of it are always in `units`, which are the CF canonical units of the standard name:
/// conversion happens once, where data enters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variable {
    /// ECMWF's short name as NetCDF spells it (`t`, `t2m`, `u10`), or the name that a model package declares.
    pub name: Arc<str>,
    /// CF standard name; empty where the convention has none.
    pub standard_name: Arc<str>,
    /// For people; also CF `long_name`.
    pub long_name: Arc<str>,
    /// In UDUNITS spelling (`m s-1`).
    pub units: Arc<str>,
}

impl Variable {
    pub fn new(name: &str, standard_name: &str, long_name: &str, units: &str) -> Self {
        Self {
            name: name.into(),
            standard_name: standard_name.into(),
            long_name: long_name.into(),
            units: units.into(),
        }
    }
}

impl From<&KnownVariable> for Variable {
    fn from(known: &KnownVariable) -> Self {
        Self::new(known.name, known.standard_name, known.long_name, known.units)
    }
}

/// A row of [`KNOWN_VARIABLES`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownVariable {
    pub name: &'static str,
    pub standard_name: &'static str,
    pub long_name: &'static str,
    pub units: &'static str,
    /// Lowest and highest value that the Earth's atmosphere can show, in `units`: outside it the data are wrong.
    pub plausible: (f64, f64),
    /// Step that forecasters cannot tell apart, in `units`: the quantum of packed output.
    pub precision: f64,
}

const fn known(
    name: &'static str,
    standard_name: &'static str,
    long_name: &'static str,
    units: &'static str,
    plausible: (f64, f64),
    precision: f64,
) -> KnownVariable {
    KnownVariable { name, standard_name, long_name, units, plausible, precision }
}

/// The variables of today's models and analyses, by ECMWF's short name. A package may declare others.
/// Names: ECMWF parameter database; standard names and units: CF standard name table.
#[rustfmt::skip]
pub const KNOWN_VARIABLES: &[KnownVariable] = &[
    known("t", "air_temperature", "temperature", "K", (100.0, 360.0), 0.01),
    known("u", "eastward_wind", "eastward wind", "m s-1", (-250.0, 250.0), 0.01),
    known("v", "northward_wind", "northward wind", "m s-1", (-250.0, 250.0), 0.01),
    known("w", "lagrangian_tendency_of_air_pressure", "vertical velocity (pressure)", "Pa s-1", (-100.0, 100.0), 0.001),
    known("wz", "upward_air_velocity", "vertical velocity (height)", "m s-1", (-60.0, 60.0), 0.001),
    known("q", "specific_humidity", "specific humidity", "kg kg-1", (-0.01, 0.1), 1e-6),
    known("r", "relative_humidity", "relative humidity", "1", (-0.2, 2.0), 1e-3),
    known("z", "geopotential", "geopotential", "m2 s-2", (-20_000.0, 1_000_000.0), 1.0),
    known("vo", "atmosphere_relative_vorticity", "relative vorticity", "s-1", (-0.05, 0.05), 1e-7),
    known("d", "divergence_of_wind", "divergence", "s-1", (-0.05, 0.05), 1e-7),
    known("o3", "mass_fraction_of_ozone_in_air", "ozone mass mixing ratio", "kg kg-1", (-1e-5, 1e-3), 1e-9),
    known("pv", "ertel_potential_vorticity", "potential vorticity", "K m2 kg-1 s-1", (-0.1, 0.1), 1e-8),
    known("clwc", "mass_fraction_of_cloud_liquid_water_in_air", "specific cloud liquid water", "kg kg-1", (-1e-4, 0.05), 1e-7),
    known("ciwc", "mass_fraction_of_cloud_ice_in_air", "specific cloud ice water", "kg kg-1", (-1e-4, 0.05), 1e-7),
    known("t2m", "air_temperature", "2 m temperature", "K", (150.0, 350.0), 0.01),
    known("d2m", "dew_point_temperature", "2 m dew point", "K", (100.0, 330.0), 0.01),
    known("r2m", "relative_humidity", "2 m relative humidity", "1", (-0.2, 2.0), 1e-3),
    known("q2m", "specific_humidity", "2 m specific humidity", "kg kg-1", (-0.01, 0.1), 1e-6),
    known("u10", "eastward_wind", "10 m eastward wind", "m s-1", (-150.0, 150.0), 0.01),
    known("v10", "northward_wind", "10 m northward wind", "m s-1", (-150.0, 150.0), 0.01),
    known("u100", "eastward_wind", "100 m eastward wind", "m s-1", (-150.0, 150.0), 0.01),
    known("v100", "northward_wind", "100 m northward wind", "m s-1", (-150.0, 150.0), 0.01),
    known("si10", "wind_speed", "10 m wind speed", "m s-1", (0.0, 150.0), 0.01),
    known("fg10", "wind_speed_of_gust", "10 m wind gust", "m s-1", (0.0, 200.0), 0.01),
    known("msl", "air_pressure_at_mean_sea_level", "mean sea level pressure", "Pa", (80_000.0, 115_000.0), 1.0),
    known("sp", "surface_air_pressure", "surface pressure", "Pa", (30_000.0, 120_000.0), 1.0),
    known("skt", "surface_temperature", "skin temperature", "K", (100.0, 400.0), 0.01),
    known("sst", "sea_surface_temperature", "sea surface temperature", "K", (200.0, 330.0), 0.01),
    known("tp", "precipitation_amount", "total precipitation", "kg m-2", (-0.1, 5_000.0), 0.01),
    known("tp", "lwe_thickness_of_precipitation_amount", "total precipitation", "m", (-1e-4, 5.0), 1e-5),
    known("prate", "precipitation_flux", "precipitation rate", "kg m-2 s-1", (-1e-4, 1.0), 1e-6),
    known("tcc", "cloud_area_fraction", "total cloud cover", "1", (-0.05, 1.05), 1e-3),
    known("tcw", "atmosphere_mass_content_of_water", "total column water", "kg m-2", (-1.0, 200.0), 0.01),
    known("tcwv", "atmosphere_mass_content_of_water_vapor", "total column water vapour", "kg m-2", (-1.0, 200.0), 0.01),
    known("lsm", "land_binary_mask", "land-sea mask", "1", (-0.01, 1.01), 1e-3),
    known("orog", "surface_altitude", "orography", "m", (-500.0, 9_500.0), 0.1),
    known("zsfc", "surface_geopotential", "surface geopotential", "m2 s-2", (-5_000.0, 95_000.0), 1.0),
];

/// The rows of [`KNOWN_VARIABLES`] with this short name: ECMWF's `tp` is a mass per area, or a depth.
pub fn known_variables(name: &str) -> impl Iterator<Item = &'static KnownVariable> {
    KNOWN_VARIABLES.iter().filter(move |known| known.name == name)
}

/// The first of [`known_variables`]: what a file's variable becomes where nobody asks for another.
pub fn known_variable(name: &str) -> Option<&'static KnownVariable> {
    KNOWN_VARIABLES.iter().find(|known| known.name == name)
}

impl Variable {
    /// What is known of it under its name and in its units.
    pub fn known(&self) -> Option<&'static KnownVariable> {
        KNOWN_VARIABLES.iter().find(|known| *known.name == *self.name && *known.units == *self.units)
    }
}
