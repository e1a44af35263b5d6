/** Addresses that the build fills in. */
declare const WORKER: string;
declare const LICENCES: string;

/** Outlines are fetched: the import gives their address. */
declare module "world-atlas/*.json" {
  const url: string;
  export default url;
}
