//! DataService.

use std::sync::Arc;

use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::convert;
use super::field_stream::{self, FieldPart};
use crate::atmos::Grid;
use crate::serve::catalog::{Forecast, Whose};
use crate::serve::error::{Error, Violation};
use crate::serve::names::{ForecastName, quoted};
use crate::serve::places::{BoundingBox, Crs, GridWindow, Side, within};
use crate::serve::select::{self, Violations};
use crate::serve::series::{Interpolation, Place, series};
use crate::serve::state::Shared;
use crate::serve::tiles::{Drawing, Format, render};
use crate::serve::units::Shown;
use crate::serve::v1;
use crate::tile::{TILE_SIZE, TileError, TileId};

pub struct Data(pub Shared);

impl Data {
    /// The forecast that a request names, of the member or statistic that it chooses.
    async fn open(&self, name: &str, member: Option<u32>, statistic: &str) -> Result<Arc<Forecast>, Error> {
        let name = ForecastName::from_resource("forecast", name)?;
        self.0.catalog.open(&name).await?.of(whose(member, statistic)?)
    }
}

fn format(format: v1::TileFormat) -> Result<Format, Violation> {
    match format {
        v1::TileFormat::Png => Ok(Format::Png),
        v1::TileFormat::F32 => Ok(Format::Raw),
        v1::TileFormat::Webp => Ok(Format::WebP),
        v1::TileFormat::I16 => Ok(Format::Quantised),
        v1::TileFormat::Unspecified => Err(Violation::missing("format", "TILE_FORMAT_PNG or TILE_FORMAT_F32")),
    }
}

/// Whose values are asked for: one member's, or what is made of all.
fn whose(member: Option<u32>, statistic: &str) -> Result<Option<Whose>, Error> {
    match (member, Whose::parse(statistic)) {
        (None, None) => Ok(None),
        (Some(number), None) => Ok(Some(Whose::Member(usize::try_from(number).unwrap_or(usize::MAX)))),
        (None, Some(Whose::Statistic(name))) => Ok(Some(Whose::Statistic(name))),
        (None, Some(Whose::Member(_))) => {
            let what = format!("{} is no statistic; the number of a member is given as member", quoted(statistic));
            Err(Violation::new("statistic", what).into())
        }
        (Some(_), Some(_)) => Err(Violation::new("statistic", "is given beside member; expected one of them").into()),
    }
}

fn tile(request: &v1::GetTileRequest, violations: &mut Violations) -> Option<TileId> {
    let mut part = |field, value: Option<u32>| {
        violations.take(value.ok_or_else(|| Violation::missing(field, "a tile number; y is counted from the north")))
    };
    let (zoom, x, y) = (part("zoom", request.zoom), part("x", request.x), part("y", request.y));
    let tile = TileId::new(zoom?, x?, y?).map_err(|error| {
        let field = match error {
            TileError::Zoom(_) => "zoom",
            TileError::Outside { axis, .. } => axis,
        };
        Violation::new(field, error.to_string())
    });
    violations.take(tile)
}

fn bounding_box(bbox: Option<v1::BoundingBox>, violations: &mut Violations) -> Option<BoundingBox> {
    let missing = || Violation::missing("bbox", "west, south, east and north in degrees");
    let bbox = violations.take(bbox.ok_or_else(missing))?;
    let sides =
        [(Side::West, bbox.west), (Side::South, bbox.south), (Side::East, bbox.east), (Side::North, bbox.north)];
    let sides = sides
        .map(|(side, degrees)| violations.take(degrees.ok_or_else(|| Violation::missing(side_field(side), "degrees"))));
    let [west, south, east, north] = sides;
    let sides = [west?, south?, east?, north?];
    let errors = match BoundingBox::new(Crs::Crs84, sides) {
        Ok(bounds) => return Some(bounds),
        Err(errors) => errors,
    };
    for error in errors {
        violations.take::<()>(Err(Violation::new(side_field(error.side), error.description)));
    }
    None
}

fn side_field(side: Side) -> &'static str {
    match side {
        Side::West => "bbox.west",
        Side::South => "bbox.south",
        Side::East => "bbox.east",
        Side::North => "bbox.north",
    }
}

/// On a thread for computations: of some grids the place of every point is looked at.
async fn window(grid: Arc<Grid>, bounds: BoundingBox) -> Result<GridWindow, Error> {
    let find = move || {
        let places = within(&grid, Crs::Crs84, "bbox", bounds, |_, _| true)?;
        Ok(GridWindow::around(&grid, places))
    };
    let found: Result<Result<GridWindow, Violation>, _> = tokio::task::spawn_blocking(find).await;
    Ok(found.map_err(|error| Error::Internal(error.to_string()))??)
}

#[tonic::async_trait]
impl v1::data_service_server::DataService for Data {
    async fn get_tile(&self, request: Request<v1::GetTileRequest>) -> Result<Response<v1::GetTileResponse>, Status> {
        let request = request.into_inner();
        let forecast = self.open(&request.forecast, request.member, &request.statistic).await?;
        let mut violations = Violations::default();
        let format = violations.take(format(request.format()));
        let tile = tile(&request, &mut violations);
        let lead = convert::lead_time(request.lead_time);
        let place = tile.zip(format);
        let selection = select::field(&forecast, &request.variable, &request.level, lead, violations)?;
        let (tile, format) = place.ok_or_else(|| Error::Internal("a tile without a place".to_owned()))?;
        let shown = Shown::stored(&selection.column.variable);
        let drawing = Drawing { tile, format, size: TILE_SIZE, nearest: false, shown };
        let data = render(&self.0, &forecast, &selection, drawing).await?;
        Ok(Response::new(v1::GetTileResponse {
            run: Some(convert::run_of(&forecast)),
            valid_time: Some(convert::timestamp(selection.valid_time)),
            content_type: format.content_type().to_owned(),
            data,
        }))
    }

    type GetFieldStream = ReceiverStream<Result<v1::GetFieldResponse, Status>>;

    async fn get_field(&self, request: Request<v1::GetFieldRequest>) -> Result<Response<Self::GetFieldStream>, Status> {
        let request = request.into_inner();
        let forecast = self.open(&request.forecast, request.member, &request.statistic).await?;
        let lead = convert::lead_time(request.lead_time);
        let selection = select::field(&forecast, &request.variable, &request.level, lead, Violations::default())?;
        let window = GridWindow::whole(&forecast.reader.spec().grid);
        let shown = Shown::stored(&selection.column.variable);
        let part = FieldPart { forecast, selection, window, shown };
        Ok(Response::new(field_stream::start(part, self.0.limits.stall_timeout)))
    }

    type GetAreaStream = ReceiverStream<Result<v1::GetAreaResponse, Status>>;

    async fn get_area(&self, request: Request<v1::GetAreaRequest>) -> Result<Response<Self::GetAreaStream>, Status> {
        let request = request.into_inner();
        let forecast = self.open(&request.forecast, request.member, &request.statistic).await?;
        let mut violations = Violations::default();
        let column = select::column(&forecast, &request.variable, &request.level, &mut violations);
        let bounds = bounding_box(request.bbox, &mut violations);
        let shown =
            column.as_ref().and_then(|column| violations.take(forecast.one_unit(&column.variable, &request.units)));
        let selection = select::at(&forecast, column, convert::lead_time(request.lead_time), violations)?;
        let (bounds, shown) =
            bounds.zip(shown).ok_or_else(|| Error::Internal("an area without a box or units".to_owned()))?;
        let window = window(forecast.reader.spec().grid.clone(), bounds).await?;
        let part = FieldPart { forecast, selection, window, shown };
        Ok(Response::new(field_stream::start(part, self.0.limits.stall_timeout)))
    }

    async fn get_series(
        &self,
        request: Request<v1::GetSeriesRequest>,
    ) -> Result<Response<v1::GetSeriesResponse>, Status> {
        let request = request.into_inner();
        let forecast = self.open(&request.forecast, request.member, &request.statistic).await?;
        let mut violations = Violations::default();
        let column = select::column(&forecast, &request.variable, &request.level, &mut violations);
        let latitude = request.latitude.ok_or_else(|| Violation::missing("latitude", "degrees north"));
        let latitude = violations.take(latitude.and_then(Place::latitude));
        let longitude = request.longitude.ok_or_else(|| Violation::missing("longitude", "degrees east"));
        let longitude = violations.take(longitude.and_then(Place::longitude));
        let shown =
            column.as_ref().and_then(|column| violations.take(forecast.one_unit(&column.variable, &request.units)));
        let (column, ((latitude, longitude), shown)) =
            violations.finish(column.zip(latitude.zip(longitude).zip(shown)))?;
        let interpolation = match request.interpolation() {
            v1::Interpolation::Bilinear => Interpolation::Bilinear,
            v1::Interpolation::Nearest | v1::Interpolation::Unspecified => Interpolation::Nearest,
        };
        let series = series(&forecast, &column, Place { latitude, longitude }, interpolation).await?;
        let reference = forecast.manifest().reference_time;
        let values =
            forecast.reader.published_leads().iter().zip(series.values).map(|(&lead, value)| v1::SeriesValue {
                lead_time: Some(convert::duration(lead)),
                valid_time: Some(convert::timestamp(reference + lead)),
                value: Some(shown.show(value)).filter(|value| !value.is_nan()),
            });
        let interpolation = match interpolation {
            Interpolation::Nearest => v1::Interpolation::Nearest,
            Interpolation::Bilinear => v1::Interpolation::Bilinear,
        };
        Ok(Response::new(v1::GetSeriesResponse {
            run: Some(convert::run_of(&forecast)),
            units: shown.units.clone(),
            latitude: series.place.latitude,
            longitude: series.place.longitude,
            interpolation: interpolation.into(),
            values: values.collect(),
        }))
    }
}
