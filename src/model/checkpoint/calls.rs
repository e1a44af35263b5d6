//! Calls that no checkpoint makes: whoever wrote one into a pickle wanted it run.

/// All of these modules.
#[rustfmt::skip]
const MODULES: &[&str] = &[
    "os", "posix", "nt", "subprocess", "commands", "sys", "shutil", "socket", "runpy", "importlib", "pty",
    "webbrowser", "ctypes", "code", "codeop", "timeit", "bdb", "pdb", "asyncio", "requests", "urllib", "http",
    "pip", "marshal",
];

/// These functions alone: their modules have harmless ones, too.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__", "builtins.input",
    "__builtin__.eval", "__builtin__.exec", "__builtin__.compile", "__builtin__.open", "__builtin__.execfile",
    "__builtin__.__import__", "torch.load", "torch.hub.load", "pickle.loads", "_pickle.loads", "numpy.load",
];

/// Whether a call of `module.name` is meant to harm. It is never made, whatever the answer.
pub(super) fn is_hostile(name: &str) -> bool {
    name.split('.').next().is_some_and(|module| MODULES.contains(&module)) || NAMES.contains(&name)
}
