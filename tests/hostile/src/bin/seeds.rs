//! Writes the seeds of every target below a directory: `seeds DIRECTORY`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds DIRECTORY");
        return ExitCode::from(2);
    };
    for target in thalweg_hostile::TARGETS {
        let directory = directory.join(target.name);
        let written = std::fs::create_dir_all(&directory).and_then(|()| {
            let mut seeds = (target.seeds)().into_iter().enumerate();
            seeds.try_for_each(|(index, seed)| {
                std::fs::write(directory.join(format!("seed-{index:03}")), seed)
            })
        });
        if let Err(error) = written {
            eprintln!("{}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
