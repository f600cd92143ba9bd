//! The command line of allim: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    allim::cli::main()
}
