//! Against PROJ 9.5.1 by pyproj 3.7.2: `pyproj.Proj(definition)(longitude, latitude)`; for ob_tran
//! `Transformer.from_pipeline("+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step <definition> +step
//! +proj=unitconvert +xy_in=rad +xy_out=deg").transform(longitude, latitude)`. Well-known text: `CRS.from_proj4(…).to_wkt()`.

use super::*;

/// Definition, latitude, longitude, x, y.
#[rustfmt::skip]
const KNOWN: &[(&str, f64, f64, f64, f64)] = &[
    ("+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470", 55.67, 12.57, -774907.1884853551, -44025.77991678554),
    ("+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470", 60.0, 25.0, 0.0, 366947.58050946123),
    ("+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470", 50.0, -5.0, -2088816.6653717207, -281727.94319591863),
    ("+proj=lcc +lat_0=55.5 +lon_0=-8 +lat_1=55.5 +lat_2=55.5 +R=6371229", 55.67, 12.57, 1271244.0595995197, 208351.3118033314),
    ("+proj=lcc +lat_0=55.5 +lon_0=-8 +lat_1=55.5 +lat_2=55.5 +R=6371229", 65.0, -25.0, -803075.8971090085, 1160290.8084301597),
    ("+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=49 +lat_2=44 +x_0=700000 +y_0=6600000 +ellps=GRS80", 48.85, 2.35, 652301.5648305281, 6861302.725899576),
    ("+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=49 +lat_2=44 +x_0=700000 +y_0=6600000 +ellps=GRS80", 43.3, 5.4, 894829.4090531681, 6247498.204341647),
    ("+proj=lcc +lat_0=-40 +lon_0=145 +lat_1=-30 +lat_2=-60 +R=6371000", -33.87, 151.21, 564325.0692617901, 643996.5410946663),
    ("+proj=lcc +lat_0=-40 +lon_0=145 +lat_1=-30 +lat_2=-60 +R=6371000", -42.88, 147.33, 183521.19098529918, -312773.5911634789),
    ("+proj=stere +lat_0=90 +lon_0=-45 +lat_ts=70 +a=6378137 +rf=298.257223563", 70.0, -45.0, 0.0, -2187927.649279021),
    ("+proj=stere +lat_0=90 +lon_0=-45 +lat_ts=70 +a=6378137 +rf=298.257223563", 64.18, -51.72, -332729.0771847093, -2823880.458853276),
    ("+proj=stere +lat_0=-90 +lon_0=0 +lat_ts=-71 +a=6378137 +rf=298.257223563", -77.85, 166.67, 305467.16273227485, -1289201.537713634),
    ("+proj=stere +lat_0=-90 +lon_0=0 +lat_ts=-71 +a=6378137 +rf=298.257223563", -71.0, 0.5, 18175.280021796883, 2082680.803419914),
    ("+proj=stere +lat_0=90 +lon_0=0 +k_0=0.994 +x_0=2000000 +y_0=2000000 +a=6378137 +rf=298.257223563", 80.0, 30.0, 2556475.5684774527, 1036156.0422262779),
    ("+proj=stere +lat_0=90 +lon_0=0 +k_0=0.994 +x_0=2000000 +y_0=2000000 +a=6378137 +rf=298.257223563", 66.5, -120.0, -290449.6075499109, 3322391.697484213),
    ("+proj=stere +lat_0=90 +lon_0=10 +lat_ts=60 +R=6370040", 51.0, 9.0, -73462.16692185594, -4208644.724265573),
    ("+proj=stere +lat_0=90 +lon_0=10 +lat_ts=60 +R=6370040", 47.07, 3.57, -523425.7493263123, -4644491.187957652),
    ("+proj=stere +lat_0=52 +lon_0=5 +k_0=0.9999 +x_0=155000 +y_0=463000 +R=6371229", 52.1, 5.18, 167294.18459985493, 474134.0113618831),
    ("+proj=stere +lat_0=52 +lon_0=5 +k_0=0.9999 +x_0=155000 +y_0=463000 +R=6371229", 55.0, -2.0, -291206.1873069452, 818585.3284816779),
    // EPSG guidance note 7-2, method 9809: Amersfoort / RD New, 196105.283, 557057.739
    ("+proj=sterea +lat_0=52.1561605555556 +lon_0=5.38763888888889 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel", 53.0, 6.0, 196105.28299245832, 557057.7393883961),
    ("+proj=sterea +lat_0=52.1561605555556 +lon_0=5.38763888888889 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel", 49.0, 0.0, -239207.28287198645, 126225.5063561598),
    ("+proj=merc +lon_0=100 +lat_ts=20 +R=6371229", 1.35, 103.82, 399162.5258110331, 141078.3447716588),
    ("+proj=merc +lon_0=100 +lat_ts=20 +R=6371229", -35.0, 150.0, 5224640.390196782, -3908530.5637369314),
    ("+proj=merc +lon_0=0 +k_0=0.9996 +ellps=WGS84", 55.67, 12.57, 1398726.2848717403, 7454703.770974814),
    ("+proj=tmerc +lat_0=0 +lon_0=9 +k_0=0.9996 +x_0=500000 +a=6378137 +rf=298.257222101", 55.67, 12.57, 724493.7164494316, 6175131.128349586),
    ("+proj=tmerc +lat_0=0 +lon_0=9 +k_0=0.9996 +x_0=500000 +a=6378137 +rf=298.257222101", 50.0, 6.0, 285015.76326309843, 5542944.018526015),
    ("+proj=tmerc +lat_0=0 +lon_0=173 +k_0=0.9996 +x_0=1600000 +y_0=10000000 +a=6378137 +rf=298.257222101", -41.29, 174.78, 1749045.8029443629, 5427521.383395424),
    ("+proj=tmerc +lat_0=0 +lon_0=173 +k_0=0.9996 +x_0=1600000 +y_0=10000000 +a=6378137 +rf=298.257222101", -45.87, 170.5, 1405968.1556883715, 4917356.908835277),
    ("+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +a=6378137 +rf=298.257222101", 55.67, 12.57, 4482767.277206385, 3621281.6121296454),
    ("+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +a=6378137 +rf=298.257222101", 38.7, -9.14, 2664904.878081359, 1944372.9571766246),
    ("+proj=laea +lat_0=-90 +lon_0=0 +R=6371228", -77.85, 166.67, 310917.6156400882, -1312204.7705558734),
    ("+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +a=6378137 +rf=298.257222101", 40.7, -74.0, 1827122.1735598098, 2177832.001080314),
    ("+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +a=6378137 +rf=298.257222101", 34.05, -118.24, -2019412.2892982357, 1457943.8761389065),
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229", 55.67, 12.57, -3.0710167691043266, 5.0327120972584645),
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229", 35.0, -20.0, -30.605125987482687, -7.872323252584671),
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=-35 +lon_0=200 +R=6371229", -33.87, 151.21, -140.96063374049385, -7.379095431736056),
    ("+proj=ob_tran +o_proj=longlat +o_lon_p=15 +o_lat_p=39.25 +lon_0=18 +R=6371229", 55.67, 12.57, 11.928983230895673, 5.0327120972584645),
    ("+proj=tmerc +lat_0=0 +lon_0=9 +k_0=1 +x_0=3500000 +ellps=bessel", 52.5, 13.4, 3798692.4713419685, 5827487.105469803),
    ("+proj=lcc +lat_0=40 +lon_0=-96 +lat_1=33 +lat_2=45 +ellps=clrk66", 40.7, -74.0, 1831956.379428329, 300164.14044644433),
];

fn attributes(pairs: &[(&str, Attribute)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn angle(a: f64, b: f64) -> f64 {
    half_turn(a - b).abs()
}

#[test]
fn every_kind_agrees_with_proj_and_comes_back() {
    for &(definition, latitude, longitude, x, y) in KNOWN {
        let projection = Projection::from_proj_string(definition).unwrap();
        let found = projection.forward(latitude, longitude).unwrap();
        let tolerance = if projection.is_angular() { 1e-10 } else { 1e-5 };
        assert!((found.0 - x).abs() < tolerance && (found.1 - y).abs() < tolerance, "{definition}: {found:?}");
        let back = projection.inverse(x, y).unwrap();
        assert!((back.0 - latitude).abs() < 1e-7 && angle(back.1, longitude) < 1e-7, "{definition}: {back:?}");
    }
}

#[test]
fn attributes_written_are_attributes_read() {
    for &(definition, ..) in KNOWN {
        let projection = Projection::from_proj_string(definition).unwrap();
        let written: Attributes =
            projection.cf_attributes().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let again = Projection::from_cf(&written).unwrap();
        assert_eq!(again, projection, "{definition}");
        assert!(!again.earth_is_assumed());
    }
}

#[test]
fn what_producers_write_is_understood() {
    use Attribute::{Number, Numbers, Text};
    let danra = attributes(&[
        ("grid_mapping_name", Text("lambert_conformal_conic".into())),
        ("longitude_of_projection_origin", Number(25.0)),
        ("latitude_of_projection_origin", Number(56.7)),
        ("standard_parallel", Numbers(vec![56.7, 56.7])),
        ("semi_major_axis", Number(6_367_470.0)),
    ]);
    let danra = Projection::from_cf(&danra).unwrap();
    assert_eq!(danra.to_string(), "Lambert conformal conic, 25.0 °E 56.7 °N, sphere 6367470 m");
    assert_eq!(danra, Projection::from_proj_string(KNOWN[0].0).unwrap());
    let silent = attributes(&[
        ("grid_mapping_name", Text("rotated_latitude_longitude".into())),
        ("grid_north_pole_latitude", Text("39.25".into())),
        ("grid_north_pole_longitude", Number(-162.0)),
    ]);
    let silent = Projection::from_cf(&silent).unwrap();
    assert!(silent.earth_is_assumed() && silent.earth() == Earth::Sphere { radius: DEFAULT_EARTH_RADIUS });
}

#[test]
fn errors_name_what_is_wrong() {
    use Attribute::{Number, Text};
    let error = |pairs: &[(&str, Attribute)]| Projection::from_cf(&attributes(pairs)).unwrap_err().to_string();
    let lambert = ("grid_mapping_name", Text("lambert_conformal_conic".into()));
    assert!(error(&[]).contains("has no grid_mapping_name"));
    assert!(error(std::slice::from_ref(&lambert)).contains("has no standard_parallel"));
    let far = error(&[lambert.clone(), ("standard_parallel", Number(99.0))]);
    assert!(far.contains("standard_parallel is [99.0]"), "{far}");
    let kilometres = error(&[
        lambert,
        ("standard_parallel", Number(50.0)),
        ("longitude_of_central_meridian", Number(0.0)),
        ("earth_radius", Number(6371.229)),
    ]);
    assert!(kilometres.contains("earth_radius is [6371.229]"), "{kilometres}");
    assert!(error(&[("grid_mapping_name", Text("geostationary".into()))]).contains("geostationary"));
    assert!(Projection::from_proj_string("+proj=lcc +lat_1=50 +units=km").is_err());
    assert!(Projection::from_proj_string("+proj=lcc +lat_1=50 +lat_2=-50").is_err());
    for wkt in ["", "A", "PROJCS[", "PROJCS[\"", "PROJCS[\"x\"", &"A[".repeat(1000), "é[é]"] {
        assert!(Projection::from_wkt(wkt).is_err(), "{wkt:?}");
    }
}

#[test]
fn convergence_of_a_lambert_cone_is_the_sine_times_the_longitude() {
    let danra = Projection::from_proj_string(KNOWN[0].0).unwrap();
    let expected = 56.7f64.to_radians().sin() * (12.57 - 25.0);
    assert!((danra.convergence(55.67, 12.57).unwrap() - expected).abs() < 1e-6);
    let unrotated = Projection::from_proj_string("+proj=ob_tran +o_proj=longlat +o_lat_p=90 +lon_0=180").unwrap();
    assert!(unrotated.convergence(50.0, 7.0).unwrap().abs() < 1e-6);
}

#[test]
fn well_known_text_of_both_versions() {
    let names = |wkt: &str, definition: &str| {
        assert_eq!(Projection::from_wkt(wkt).unwrap(), Projection::from_proj_string(definition).unwrap(), "{wkt}");
    };
    names(
        r#"PROJCRS["unknown",BASEGEOGCRS["unknown",DATUM["unknown",ELLIPSOID["unknown",6367470,0,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],CONVERSION["unknown",METHOD["Lambert Conic Conformal (2SP)"],PARAMETER["Latitude of false origin",56.7,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of false origin",25,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Latitude of 1st standard parallel",56.7,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Latitude of 2nd standard parallel",56.7,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Easting at false origin",0,LENGTHUNIT["metre",1]],PARAMETER["Northing at false origin",0,LENGTHUNIT["metre",1]]],CS[Cartesian,2],AXIS["(E)",east,ORDER[1],LENGTHUNIT["metre",1]],AXIS["(N)",north,ORDER[2],LENGTHUNIT["metre",1]]]"#,
        "+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470",
    );
    names(
        r#"PROJCS["unknown",GEOGCS["unknown",DATUM["Unknown based on GRS 1980 ellipsoid",SPHEROID["GRS 1980",6378137,298.257222101]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Lambert_Conformal_Conic_2SP"],PARAMETER["latitude_of_origin",46.5],PARAMETER["central_meridian",3],PARAMETER["standard_parallel_1",49],PARAMETER["standard_parallel_2",44],PARAMETER["false_easting",700000],PARAMETER["false_northing",6600000],UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]"#,
        "+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=49 +lat_2=44 +x_0=700000 +y_0=6600000 +ellps=GRS80",
    );
    names(
        r#"PROJCS["unknown",GEOGCS["unknown",DATUM["Unknown based on WGS 84 ellipsoid",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Polar_Stereographic"],PARAMETER["latitude_of_origin",70],PARAMETER["central_meridian",-45],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]"#,
        "+proj=stere +lat_0=90 +lon_0=-45 +lat_ts=70 +ellps=WGS84",
    );
    names(
        r#"PROJCRS["unknown",BASEGEOGCRS["unknown",DATUM["Unknown based on WGS 84 ellipsoid",ELLIPSOID["WGS 84",6378137,298.257223563,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],CONVERSION["unknown",METHOD["Polar Stereographic (variant B)"],PARAMETER["Latitude of standard parallel",-71,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of origin",0,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["False easting",0,LENGTHUNIT["metre",1]],PARAMETER["False northing",0,LENGTHUNIT["metre",1]]],CS[Cartesian,2],AXIS["(E)",north,MERIDIAN[90,ANGLEUNIT["degree",0.0174532925199433]],ORDER[1],LENGTHUNIT["metre",1]],AXIS["(N)",north,MERIDIAN[0,ANGLEUNIT["degree",0.0174532925199433]],ORDER[2],LENGTHUNIT["metre",1]]]"#,
        "+proj=stere +lat_0=-90 +lon_0=0 +lat_ts=-71 +ellps=WGS84",
    );
    names(
        r#"PROJCRS["unknown",BASEGEOGCRS["unknown",DATUM["Unknown based on WGS 84 ellipsoid",ELLIPSOID["WGS 84",6378137,298.257223563,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],CONVERSION["unknown",METHOD["Polar Stereographic (variant A)"],PARAMETER["Latitude of natural origin",90,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Scale factor at natural origin",0.994,SCALEUNIT["unity",1]],PARAMETER["False easting",2000000,LENGTHUNIT["metre",1]],PARAMETER["False northing",2000000,LENGTHUNIT["metre",1]]],CS[Cartesian,2],AXIS["(E)",south,MERIDIAN[90,ANGLEUNIT["degree",0.0174532925199433]],ORDER[1],LENGTHUNIT["metre",1]],AXIS["(N)",south,MERIDIAN[180,ANGLEUNIT["degree",0.0174532925199433]],ORDER[2],LENGTHUNIT["metre",1]]]"#,
        "+proj=stere +lat_0=90 +lon_0=0 +k_0=0.994 +x_0=2000000 +y_0=2000000 +ellps=WGS84",
    );
    names(
        r#"PROJCS["unknown",GEOGCS["unknown",DATUM["unknown",SPHEROID["unknown",6371229,0]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Mercator_2SP"],PARAMETER["standard_parallel_1",20],PARAMETER["central_meridian",100],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]"#,
        "+proj=merc +lon_0=100 +lat_ts=20 +R=6371229",
    );
    names(
        r#"PROJCRS["unknown",BASEGEOGCRS["unknown",DATUM["Unknown based on GRS 1980 ellipsoid",ELLIPSOID["GRS 1980",6378137,298.257222101,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],CONVERSION["unknown",METHOD["Transverse Mercator"],PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of natural origin",9,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Scale factor at natural origin",0.9996,SCALEUNIT["unity",1]],PARAMETER["False easting",500000,LENGTHUNIT["metre",1]],PARAMETER["False northing",0,LENGTHUNIT["metre",1]]],CS[Cartesian,2],AXIS["(E)",east,ORDER[1],LENGTHUNIT["metre",1]],AXIS["(N)",north,ORDER[2],LENGTHUNIT["metre",1]]]"#,
        "+proj=tmerc +lat_0=0 +lon_0=9 +k_0=0.9996 +x_0=500000 +ellps=GRS80",
    );
    let rd = "+proj=sterea +lat_0=52.1561605555556 +lon_0=5.38763888888889 +k=0.9999079 +x_0=155000 +y_0=463000 +ellps=bessel";
    names(
        r#"PROJCRS["Amersfoort / RD New",BASEGEOGCRS["Amersfoort",DATUM["Amersfoort",ELLIPSOID["Bessel 1841",6377397.155,299.1528128,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]],ID["EPSG",4289]],CONVERSION["RD New",METHOD["Oblique Stereographic",ID["EPSG",9809]],PARAMETER["Latitude of natural origin",52.1561605555556,ANGLEUNIT["degree",0.0174532925199433],ID["EPSG",8801]],PARAMETER["Longitude of natural origin",5.38763888888889,ANGLEUNIT["degree",0.0174532925199433],ID["EPSG",8802]],PARAMETER["Scale factor at natural origin",0.9999079,SCALEUNIT["unity",1],ID["EPSG",8805]],PARAMETER["False easting",155000,LENGTHUNIT["metre",1],ID["EPSG",8806]],PARAMETER["False northing",463000,LENGTHUNIT["metre",1],ID["EPSG",8807]]],CS[Cartesian,2],AXIS["easting (X)",east,ORDER[1],LENGTHUNIT["metre",1]],AXIS["northing (Y)",north,ORDER[2],LENGTHUNIT["metre",1]]]"#,
        rd,
    );
    names(
        r#"PROJCS["Amersfoort / RD New",GEOGCS["Amersfoort",DATUM["Amersfoort",SPHEROID["Bessel 1841",6377397.155,299.1528128]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Oblique_Stereographic"],PARAMETER["latitude_of_origin",52.1561605555556],PARAMETER["central_meridian",5.38763888888889],PARAMETER["scale_factor",0.9999079],PARAMETER["false_easting",155000],PARAMETER["false_northing",463000],UNIT["metre",1]]"#,
        rd,
    );
    names(
        r#"PROJCS["unknown",GEOGCS["unknown",DATUM["unknown",SPHEROID["unknown",6371229,0]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Lambert_Azimuthal_Equal_Area"],PARAMETER["latitude_of_center",52],PARAMETER["longitude_of_center",10],PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]"#,
        "+proj=laea +lat_0=52 +lon_0=10 +R=6371229",
    );
    names(
        r#"PROJCRS["unknown",BASEGEOGCRS["unknown",DATUM["Unknown based on GRS 1980 ellipsoid",ELLIPSOID["GRS 1980",6378137,298.257222101,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],CONVERSION["unknown",METHOD["Albers Equal Area"],PARAMETER["Latitude of false origin",23,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Longitude of false origin",-96,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Latitude of 1st standard parallel",29.5,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Latitude of 2nd standard parallel",45.5,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["Easting at false origin",0,LENGTHUNIT["metre",1]],PARAMETER["Northing at false origin",0,LENGTHUNIT["metre",1]]],CS[Cartesian,2],AXIS["(E)",east,ORDER[1],LENGTHUNIT["metre",1]],AXIS["(N)",north,ORDER[2],LENGTHUNIT["metre",1]]]"#,
        "+proj=aea +lat_0=23 +lon_0=-96 +lat_1=29.5 +lat_2=45.5 +ellps=GRS80",
    );
    names(
        r#"GEOGCRS["unnamed",BASEGEOGCRS["unknown",DATUM["unknown",ELLIPSOID["unknown",6371229,0,LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]]],DERIVINGCONVERSION["unknown",METHOD["PROJ ob_tran o_proj=longlat"],PARAMETER["o_lon_p",0,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["o_lat_p",39.25,ANGLEUNIT["degree",0.0174532925199433]],PARAMETER["lon_0",18,ANGLEUNIT["degree",0.0174532925199433]]],CS[ellipsoidal,2],AXIS["longitude",east,ORDER[1],ANGLEUNIT["degree",0.0174532925199433]],AXIS["latitude",north,ORDER[2],ANGLEUNIT["degree",0.0174532925199433]]]"#,
        "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229",
    );
}

#[test]
fn a_description_in_full_stands_for_a_name_that_cf_does_not_have() {
    use Attribute::Text;
    let rd = KNOWN.iter().find(|known| known.0.contains("sterea")).unwrap().0;
    let named = |name: &str| {
        let pairs = [("grid_mapping_name", Text(name.into())), ("proj4_params", Text(rd.into()))];
        Projection::from_cf(&attributes(&pairs)).unwrap()
    };
    assert_eq!(named("double_stereographic"), Projection::from_proj_string(rd).unwrap());
    assert_eq!(named(""), Projection::from_proj_string(rd).unwrap());
}

#[test]
fn longitudes_are_from_greenwich() {
    let error = Projection::from_proj_string("+proj=lcc +lat_0=46.8 +lon_0=0 +lat_1=46.8 +pm=paris +R=6371229");
    assert!(error.unwrap_err().to_string().contains("paris"));
    let wkt = r#"PROJCS["x",GEOGCS["x",DATUM["x",SPHEROID["x",6371229,0]],PRIMEM["Paris",2.33722917],UNIT["degree",0.0174532925199433]],PROJECTION["Mercator_2SP"],PARAMETER["standard_parallel_1",20],PARAMETER["central_meridian",0],UNIT["metre",1]]"#;
    assert!(Projection::from_wkt(wkt).unwrap_err().to_string().contains("prime_meridian"));
}

#[test]
fn an_ellipsoid_that_is_not_known_is_no_sphere() {
    let error = Projection::from_proj_string("+proj=lcc +lat_0=50 +lon_0=0 +lat_1=50 +ellps=everest").unwrap_err();
    assert!(error.to_string().contains("everest"), "{error}");
}
