//! Input on another grid than the model's, carried over to it: only where the command line or the package says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ForecastError;
use super::facing::Declared;
use crate::atmos::Grid;
use crate::ingest::{IngestError, Inventory, Request, Wanted};
use crate::model::ModelPackage;
use crate::regrid::{Method, Regridder};

/// How fields are carried over, if at all; and the weights that were computed for it.
#[derive(Debug, Default)]
pub struct Regridding {
    default: Option<Method>,
    /// Of variables by their names.
    of: BTreeMap<String, Method>,
    winds: Declared,
    made: Mutex<Vec<(Method, Arc<Regridder>)>>,
}

impl Regridding {
    /// `bilinear`, or of some variables `conservative:tp,ssrd`; the package's own method where nothing is given.
    pub fn parse(texts: &[String], package: &ModelPackage) -> Result<Self, ForecastError> {
        let wrong = |text: &str, reason: String| ForecastError::Configuration(format!("regrid {text}: {reason}"));
        let mut regridding = Self { winds: Declared::of(package), ..Self::default() };
        if let Some(text) = &package.manifest().grid.regrid {
            regridding.default = Some(text.parse().map_err(|reason| wrong(text, reason))?);
        }
        for text in texts {
            let (method, variables) = text.split_once(':').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
            let method: Method = method.parse().map_err(|reason| wrong(text, reason))?;
            match variables {
                None => regridding.default = Some(method),
                Some(variables) => {
                    let known = |name: &&str| package.channels().all().any(|channel| *channel.variable.name == **name);
                    for name in variables.split(',') {
                        if !known(&name) {
                            let reason = format!("{} has no variable {name:?}", package.name());
                            return Err(wrong(text, reason));
                        }
                        regridding.of.insert(name.to_owned(), method);
                    }
                }
            }
        }
        if !texts.is_empty() && package.grid().fixed().is_none() {
            let reason = format!("{} works on the grid of its input: there is none to regrid to", package.name());
            return Err(wrong(&texts.join(" "), reason));
        }
        Ok(regridding)
    }

    pub fn is_asked_for(&self) -> bool {
        self.default.is_some() || !self.of.is_empty()
    }

    /// The request as the files can answer it: winds may lie there the other way.
    pub fn asked(&self, files: &Inventory, request: &Request) -> Request {
        let winds = self.winds.in_files(files, request, request.grid.as_deref());
        winds.map_or_else(|_| request.clone(), |winds| winds.asked)
    }

    /// What the request asks for, on its grid; nothing of no fields. With `constant` fields that belong to all times. Winds
    /// are carried over as components to the east and to the north, and become what the package wants.
    pub fn read(
        &self,
        files: &Inventory,
        request: &Request,
        constant: bool,
    ) -> Result<(Vec<Vec<f32>>, Arc<Grid>), ForecastError> {
        let read = |request: &Request| -> Result<(Vec<Vec<f32>>, Arc<Grid>), IngestError> {
            if constant { files.read_constants(request) } else { files.read_stacked(request) }
        };
        if let ([], Some(grid)) = (request.fields.as_slice(), &request.grid) {
            return Ok((vec![Vec::new(); request.times.len()], grid.clone()));
        }
        let Some(to) = request.grid.as_ref().filter(|_| self.is_asked_for()) else {
            let winds = self.winds.in_files(files, request, request.grid.as_deref())?;
            let (mut stacks, grid) = read(&winds.asked)?;
            winds.to_compass(&mut stacks, &grid, true)?;
            winds.to_axes(&mut stacks, &grid, true)?;
            return Ok((stacks, grid));
        };
        let anywhere = Request { grid: None, ..request.clone() };
        let winds = self.winds.in_files(files, &anywhere, Some(to))?;
        let (mut stacks, from) = read(&winds.asked)?;
        let stays = from.same_points(to);
        winds.to_compass(&mut stacks, &from, stays)?;
        if stays {
            winds.to_axes(&mut stacks, to, stays)?;
            return Ok((stacks, to.clone()));
        }
        let carry = |stack: Vec<f32>| -> Result<Vec<f32>, ForecastError> {
            let mut carried = Vec::with_capacity(request.fields.len() * to.len());
            for (Wanted { variable, .. }, field) in request.fields.iter().zip(stack.chunks_exact(from.len())) {
                let method = self.of.get(&*variable.name).copied().or(self.default).ok_or_else(|| {
                    let (name, found) = (&variable.name, &from);
                    ForecastError::Input(format!("{name} is on {found}; say how to regrid it, as the other variables"))
                })?;
                let wrong = |error: crate::regrid::RegridError| ForecastError::Input(error.to_string());
                let regridder = self.regridder(&from, to, method).map_err(wrong)?;
                carried.extend(regridder.apply(field).map_err(wrong)?);
            }
            Ok(carried)
        };
        let mut carried = stacks.into_iter().map(carry).collect::<Result<Vec<_>, _>>()?;
        winds.to_axes(&mut carried, to, stays)?;
        Ok((carried, to.clone()))
    }

    fn regridder(
        &self,
        from: &Arc<Grid>,
        to: &Arc<Grid>,
        method: Method,
    ) -> Result<Arc<Regridder>, crate::regrid::RegridError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = made.iter().find(|(other, known)| *other == method && known.leads(from, to)) {
            return Ok(known.clone());
        }
        let regridder = Regridder::shared(from, to, method)?;
        made.push((method, regridder.clone()));
        Ok(regridder)
    }

    /// What was done, for people.
    pub fn notes(&self) -> Vec<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter()
            .map(|(method, regridder)| format!("{method} from {} to {}", regridder.from(), regridder.to()))
            .collect()
    }
}
