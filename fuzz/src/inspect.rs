//! What `vejr inspect` does with a file, and what a forecast does.

use std::path::Path;

use vejr::atmos::{Level, Variable};
use vejr::ingest::{Array, CfTime, Dataset, Inventory, Isolation, Request, SourceVariable, Wanted};

/// Numbers that are read of an array, or of a request: more take longer, and tell nothing new.
const MOST: usize = 1 << 14;
/// Variables, and levels of one, that are looked at.
const FEW: usize = 8;

/// Reads a file in this process, as far as it can be read.
pub fn inspect(path: &Path) {
    let (inventory, problems) = Inventory::survey(&[path.to_owned()], &Isolation::None);
    problems.iter().for_each(|problem| drop(problem.to_string()));
    let Some(file) = inventory.files().first() else { return };
    let Ok(dataset) = Dataset::open(path, &Isolation::None) else { return };
    let is_small = |array: &Array| elements(array).is_some_and(|elements| elements <= MOST);
    for array in dataset.arrays.iter().filter(|array| !array.is_numeric() && is_small(array)).take(FEW) {
        let _ = dataset.read_texts(array);
    }
    for variable in file.variables.iter().take(FEW) {
        describe(variable);
        if dataset.array(&variable.name).is_some_and(is_small)
            && let Ok(range) = inventory.range(file, variable)
        {
            let _ = inventory.implausible(file, variable, range);
        }
    }
    for grid in inventory.grids() {
        let _ = (grid.to_string(), grid.bounds(), grid.place(0, 0));
    }
    let member = file.variables.iter().find_map(|variable| variable.members.first().copied());
    let inventory = match member {
        Some(member) => match inventory.of_member(member) {
            Ok(inventory) => inventory,
            Err(_) => return,
        },
        None => inventory,
    };
    read(&inventory);
}

fn elements(array: &Array) -> Option<usize> {
    array.shape().iter().try_fold(1usize, |all, length| all.checked_mul(*length))
}

fn describe(variable: &SourceVariable) {
    let _ = (variable.order_found(), variable.blocked(), variable.grid.to_string(), variable.grid.bounds());
    variable.levels.iter().for_each(|level| drop(level.to_string()));
    variable.times.iter().take(FEW).for_each(|time| drop(time.to_string()));
}

/// All that there is at the latest time.
fn read(inventory: &Inventory) {
    let wanted = |variable: &SourceVariable, level: &Level| {
        let ours = variable.recognition.variable().cloned();
        let ours = ours.unwrap_or_else(|| Variable::new(&*variable.name, "", "", &*variable.units));
        Wanted::from((ours, *level))
    };
    let mut points = 0;
    let mut fields = Vec::new();
    for (_, variable) in inventory.variables().take(FEW) {
        for level in variable.levels.iter().take(FEW) {
            points += variable.grid.len();
            if points <= MOST {
                fields.push(wanted(variable, level));
            }
        }
    }
    let latest = |variable: &SourceVariable| variable.times.iter().filter_map(CfTime::real).max();
    let times = inventory.variables().filter_map(|(_, variable)| latest(variable)).max().into_iter().collect();
    let request = Request { fields, times, grid: None };
    let _ = inventory.check(&request);
    let _ = inventory.read_stacked(&request);
    let _ = inventory.read_constants(&request);
}
