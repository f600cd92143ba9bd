//! The command line of allim: arguments in, exit code out.

/// A quarter of what sending cost the processor was glibc's `malloc` and `free`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    allim::cli::main()
}
