//! The short names that producers use, where CF attributes do not tell.
//!
//! Sources: ECMWF parameter database and the Climate Data Store (ERA5), ecCodes' and cfgrib's NetCDF names (IFS, GFS),
//! WeatherBench 2, NCEP/NCAR reanalysis (COARDS), HARMONIE/DINI as DMI and KNMI write it.

use crate::atmos::Level;

/// Our short name, then the other names of the same variable on a vertical axis. Lower case.
#[rustfmt::skip]
const ON_LEVELS: &[(&str, &[&str])] = &[
    ("t", &["ta", "temp", "temperature", "air", "air_temperature", "tmp", "tt"]),
    ("u", &["ua", "uwnd", "ugrd", "u_component_of_wind", "uvel", "uu"]),
    ("v", &["va", "vwnd", "vgrd", "v_component_of_wind", "vv"]),
    ("z", &["geopotential", "zg", "gh", "hgt", "geopotential_height", "phi", "hgtprs"]),
    ("q", &["hus", "shum", "specific_humidity", "spfh"]),
    ("r", &["hur", "rhum", "relative_humidity", "rh"]),
    ("w", &["wap", "omega", "vertical_velocity", "vvel", "vertical_velocity_pressure"]),
    ("wz", &["dzdt", "vertical_velocity_geometric", "upward_air_velocity"]),
    ("vo", &["vorticity", "relative_vorticity"]),
    ("d", &["divergence"]),
    ("o3", &["ozone", "o3mr", "ozone_mass_mixing_ratio"]),
    ("pv", &["potential_vorticity"]),
    ("clwc", &["specific_cloud_liquid_water_content"]),
    ("ciwc", &["specific_cloud_ice_water_content"]),
];

/// The same for variables on a single level.
#[rustfmt::skip]
const SINGLE: &[(&str, &[&str])] = &[
    ("t2m", &["2t", "trefht", "tas", "t2", "tmp2m", "2m_temperature", "air_temperature_2m", "t_2m", "tm2m"]),
    ("d2m", &["2d", "tdps", "td2m", "2m_dewpoint_temperature", "dew_point_temperature_2m"]),
    ("r2m", &["2r", "hurs", "rh2m", "relative_humidity_2m"]),
    ("q2m", &["2sh", "huss", "q2", "specific_humidity_2m"]),
    ("u10", &["10u", "uas", "u10m", "10m_u_component_of_wind", "ugrd10m", "x_wind_10m"]),
    ("v10", &["10v", "vas", "v10m", "10m_v_component_of_wind", "vgrd10m", "y_wind_10m"]),
    ("u100", &["100u", "u100m", "100m_u_component_of_wind"]),
    ("v100", &["100v", "v100m", "100m_v_component_of_wind"]),
    ("si10", &["10si", "sfcwind", "ws10m", "10m_wind_speed"]),
    ("fg10", &["10fg", "i10fg", "fg10m", "wsgsmax", "instantaneous_10m_wind_gust", "10m_wind_gust_since_previous_post_processing"]),
    ("msl", &["psl", "prmsl", "mslp", "slp", "pres_seasurface", "mean_sea_level_pressure", "mslet", "air_pressure_at_sea_level", "pressure_reduced_to_msl"]),
    ("sp", &["ps", "psfc", "pres0m", "pressfc", "surface_pressure", "surface_air_pressure"]),
    ("skt", &["ts", "skin_temperature"]),
    ("sst", &["sea_surface_temperature", "tos"]),
    ("tp", &["total_precipitation", "apcp"]),
    ("prate", &["pr", "tprate"]),
    ("tcc", &["clt", "total_cloud_cover"]),
    ("tcw", &["total_column_water"]),
    ("tcwv", &["prw", "pwat", "total_column_water_vapour", "integral_of_specific_humidity"]),
    ("lsm", &["sftlf", "land", "land_sea_mask", "landmask"]),
    ("orog", &["orography", "hsurf", "topo", "surface_altitude"]),
    ("zsfc", &["geopotential_at_surface", "surface_geopotential", "z", "phis", "fis"]),
];

/// Endings that tell the kind of level, which the vertical coordinate tells better (NCEP's names by way of THREDDS,
/// KNMI's and DMI's).
const ENDINGS: &[&str] =
    &["_isobaric", "_height_above_ground", "_surface", "_msl", "_pl", "_ml", "_hybrid", "_hagl", "_at_pl", "_at_2m"];

/// Variables on a single height, by the name that the same quantity has on levels and the height in m.
const AT_HEIGHT: &[(&str, f64, &str)] = &[
    ("t", 2.0, "t2m"),
    ("r", 2.0, "r2m"),
    ("q", 2.0, "q2m"),
    ("u", 10.0, "u10"),
    ("v", 10.0, "v10"),
    ("u", 100.0, "u100"),
    ("v", 100.0, "v100"),
];

/// Our short name for a variable that is called `name` in its file and lies on this kind of level. `height` is that of
/// a single level, in m.
pub fn lookup(name: &str, level: &Level, height: Option<f64>) -> Option<&'static str> {
    let full = name.trim().to_lowercase().replace([' ', '-'], "_");
    let ending = ENDINGS.iter().find_map(|ending| full.strip_suffix(ending));
    let find = |table: &[(&'static str, &[&str])], name: &str| {
        table.iter().find(|(ours, others)| *ours == name || others.contains(&name)).map(|(ours, _)| *ours)
    };
    let in_table = |table| find(table, &full).or_else(|| find(table, ending?));
    if !matches!(level, Level::Surface) {
        return in_table(ON_LEVELS);
    }
    let at_height = || {
        let base = in_table(ON_LEVELS)?;
        AT_HEIGHT.iter().find(|(name, metres, _)| *name == base && near(height, *metres)).map(|(.., ours)| *ours)
    };
    in_table(SINGLE).or_else(at_height)
}

/// Whether a short name is one of ours, and no package's own.
pub fn is_ours(name: &str) -> bool {
    ON_LEVELS.iter().chain(SINGLE).any(|(ours, _)| *ours == name)
}

/// The height in m that a variable of ours has by its name.
pub fn height_of(ours: &str) -> Option<f64> {
    match ours {
        "d2m" => Some(2.0),
        "si10" => Some(10.0),
        _ => AT_HEIGHT.iter().find(|(.., name)| *name == ours).map(|(_, metres, _)| *metres),
    }
}

/// Our short name by CF standard name. `height` is a scalar height coordinate in m: it tells 2 m from 10 m.
pub fn by_standard_name(standard_name: &str, level: &Level, height: Option<f64>) -> Option<&'static str> {
    let single = matches!(level, Level::Surface);
    Some(match (standard_name, single) {
        ("air_temperature", false) => "t",
        ("eastward_wind" | "x_wind", false) => "u",
        ("northward_wind" | "y_wind", false) => "v",
        ("geopotential" | "geopotential_height", false) => "z",
        ("specific_humidity", false) => "q",
        ("relative_humidity", false) => "r",
        (
            "lagrangian_tendency_of_air_pressure" | "vertical_air_velocity_expressed_as_tendency_of_pressure" | "omega",
            false,
        ) => "w",
        ("upward_air_velocity", false) => "wz",
        ("atmosphere_relative_vorticity", false) => "vo",
        ("divergence_of_wind", false) => "d",
        ("mass_fraction_of_ozone_in_air", false) => "o3",
        ("ertel_potential_vorticity", false) => "pv",
        ("mass_fraction_of_cloud_liquid_water_in_air", false) => "clwc",
        ("mass_fraction_of_cloud_ice_in_air", false) => "ciwc",
        ("air_temperature", true) if near(height, 2.0) => "t2m",
        ("dew_point_temperature", true) if near(height, 2.0) => "d2m",
        ("relative_humidity", true) if near(height, 2.0) => "r2m",
        ("specific_humidity", true) if near(height, 2.0) => "q2m",
        ("eastward_wind" | "x_wind", true) if near(height, 10.0) => "u10",
        ("northward_wind" | "y_wind", true) if near(height, 10.0) => "v10",
        ("eastward_wind" | "x_wind", true) if near(height, 100.0) => "u100",
        ("northward_wind" | "y_wind", true) if near(height, 100.0) => "v100",
        ("wind_speed", true) if near(height, 10.0) => "si10",
        ("wind_speed_of_gust", true) => "fg10",
        ("air_pressure_at_mean_sea_level" | "air_pressure_at_sea_level", true) => "msl",
        ("surface_air_pressure", true) => "sp",
        ("surface_temperature", true) => "skt",
        ("sea_surface_temperature", true) => "sst",
        ("precipitation_amount" | "lwe_thickness_of_precipitation_amount", true) => "tp",
        ("precipitation_flux", true) => "prate",
        ("cloud_area_fraction", true) => "tcc",
        ("atmosphere_mass_content_of_water", true) => "tcw",
        ("atmosphere_mass_content_of_water_vapor", true) => "tcwv",
        ("land_binary_mask" | "land_area_fraction", true) => "lsm",
        ("surface_altitude", true) => "orog",
        ("surface_geopotential" | "geopotential", true) => "zsfc",
        _ => return None,
    })
}

fn near(height: Option<f64>, expected: f64) -> bool {
    height.is_some_and(|height| (height - expected).abs() < 0.5)
}
