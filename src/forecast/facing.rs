//! Winds of the input, which follow the compass or the axes of their grid, become what the model was trained on.

use std::collections::BTreeMap;

use super::ForecastError;
use super::wind::{AxisAngles, Component, EASTWARD, NORTHWARD, X_WIND, Y_WIND, pairs};
use crate::atmos::{Grid, Variable};
use crate::ingest::{Inventory, Request, SourceVariable, Wanted};
use crate::model::ModelPackage;

/// What components of a wind follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facing {
    /// East and north.
    Compass,
    /// The rows and columns of their grid.
    Axes,
}

impl Facing {
    /// By CF standard name; on parallels and meridians the axes are those of the compass.
    fn of(standard_name: &str, grid: Option<&Grid>) -> Option<Self> {
        match standard_name {
            X_WIND | Y_WIND if grid.is_none_or(|grid| grid.rectilinear().is_none()) => Some(Self::Axes),
            X_WIND | Y_WIND | EASTWARD | NORTHWARD => Some(Self::Compass),
            _ => None,
        }
    }
}

/// One wind among the fields of a request, by its components' places.
#[derive(Debug)]
struct Wind {
    u: usize,
    v: usize,
    found: Facing,
    wanted: Facing,
}

/// What the winds of a package follow, by the names of its variables.
#[derive(Debug, Default)]
pub struct Declared(BTreeMap<String, Variable>);

impl Declared {
    pub fn of(package: &ModelPackage) -> Self {
        let winds = package
            .channels()
            .all()
            .map(|channel| &channel.variable)
            .filter(|variable| [X_WIND, Y_WIND, EASTWARD, NORTHWARD].contains(&&*variable.standard_name));
        Self(winds.map(|variable| (variable.name.to_string(), variable.clone())).collect())
    }

    /// The request as the files can answer it, and the winds in it that have to be turned then. `to`: the grid that they
    /// are wanted on.
    pub fn in_files(&self, files: &Inventory, request: &Request, to: Option<&Grid>) -> Result<Winds, ForecastError> {
        let mut asked = request.clone();
        let known: Vec<Component<'_>> = request
            .fields
            .iter()
            .map(|Wanted { variable, level, .. }| (self.0.get(&*variable.name).unwrap_or(variable), *level))
            .collect();
        let mut winds = Vec::new();
        for names in [(EASTWARD, NORTHWARD), (X_WIND, Y_WIND)] {
            let mut alone: Vec<usize> =
                (0..known.len()).filter(|&n| [names.0, names.1].contains(&&*known[n].0.standard_name)).collect();
            for (u, v) in pairs(&known, names) {
                alone.retain(|&n| n != u && n != v);
                let mut facing = [None; 2];
                for (facing, n) in facing.iter_mut().zip([u, v]) {
                    *facing = find(files, &mut asked.fields[n], known[n].0, asked.grid.as_deref());
                }
                let wanted = Facing::of(names.0, to);
                if let ([Some(found), Some(other)], Some(wanted)) = (facing, wanted)
                    && (found == other && (found, wanted) != (Facing::Compass, Facing::Compass))
                {
                    winds.push(Wind { u, v, found, wanted });
                } else if facing[0] != facing[1] && facing.iter().all(Option::is_some) {
                    let (u, v) = (&known[u].0.name, &known[v].0.name);
                    return Err(ForecastError::Input(format!(
                        "{u} and {v} are one wind, of which the files have one component to the compass and one along the \
                         grid; give both of one kind"
                    )));
                }
            }
            for n in alone {
                let Some(source) = files.source(&request.fields[n], request.grid.as_deref()) else { continue };
                let (found, wanted) =
                    (facing(&request.fields[n], source, known[n].0), Facing::of(&known[n].0.standard_name, to));
                let stays = to.is_none_or(|to| source.grid.same_points(to));
                if (found != Some(Facing::Compass) || found != wanted) && !(stays && found == wanted) {
                    return Err(ForecastError::Input(format!(
                        "{} is one component of a wind that has to be turned, which takes both; the model reads this one alone",
                        known[n].0.name
                    )));
                }
            }
        }
        Ok(Winds { asked, winds })
    }
}

/// What a wanted component follows in the files; `wanted` becomes what can be found, where it is there of the other kind alone.
fn find(files: &Inventory, wanted: &mut Wanted, declared: &Variable, grid: Option<&Grid>) -> Option<Facing> {
    if let Some(source) = files.source(wanted, grid) {
        return facing(wanted, source, declared);
    }
    let other = match &*wanted.variable.standard_name {
        EASTWARD => X_WIND,
        NORTHWARD => Y_WIND,
        X_WIND => EASTWARD,
        Y_WIND => NORTHWARD,
        _ => return None,
    };
    let variable = Variable { standard_name: other.into(), ..wanted.variable.clone() };
    let other = Wanted { variable, ..wanted.clone() };
    let found = facing(&other, files.source(&other, grid)?, declared)?;
    *wanted = other;
    Some(found)
}

/// What a component follows: what is known by its name alone, or asked for by it, is what the package says it is.
fn facing(wanted: &Wanted, source: &SourceVariable, declared: &Variable) -> Option<Facing> {
    let by_name = source.standard_name.is_empty() || wanted.variable.standard_name.is_empty();
    let name = if by_name { &*declared.standard_name } else { source.standard_name.as_str() };
    Facing::of(name, Some(&source.grid))
}

/// Winds of a request that have to be turned.
#[derive(Debug)]
pub struct Winds {
    /// What the files are asked for instead.
    pub asked: Request,
    winds: Vec<Wind>,
}

impl Winds {
    /// Turns winds along the axes of the files' grid to east and north; `stays`: the model's grid is this one, so that
    /// those that are wanted along its axes are right already.
    pub fn to_compass(&self, stacks: &mut [Vec<f32>], grid: &Grid, stays: bool) -> Result<(), ForecastError> {
        let turned = |wind: &&Wind| wind.found == Facing::Axes && !(stays && wind.wanted == Facing::Axes);
        turn(self.winds.iter().filter(turned), stacks, grid, AxisAngles::to_true)
    }

    /// Turns winds to east and north along the axes of the model's grid, where the model wants them so.
    pub fn to_axes(&self, stacks: &mut [Vec<f32>], grid: &Grid, stays: bool) -> Result<(), ForecastError> {
        let turned = |wind: &&Wind| wind.wanted == Facing::Axes && !(stays && wind.found == Facing::Axes);
        turn(self.winds.iter().filter(turned), stacks, grid, AxisAngles::to_grid)
    }
}

fn turn<'w>(
    winds: impl Iterator<Item = &'w Wind>,
    stacks: &mut [Vec<f32>],
    grid: &Grid,
    turn: fn(&AxisAngles, &mut [f32], &mut [f32]),
) -> Result<(), ForecastError> {
    let mut winds = winds.peekable();
    if winds.peek().is_none() {
        return Ok(());
    }
    let angles = AxisAngles::of(grid).map_err(ForecastError::Input)?;
    for wind in winds {
        for stack in stacks.iter_mut() {
            let mut fields = stack.chunks_exact_mut(grid.len());
            let (first, second) = (wind.u.min(wind.v), wind.u.max(wind.v));
            let (first, second) = (fields.nth(first), fields.nth(second - first - 1));
            if let (Some(first), Some(second)) = (first, second) {
                let (u, v) = if wind.u < wind.v { (first, second) } else { (second, first) };
                turn(&angles, u, v);
            }
        }
    }
    Ok(())
}
