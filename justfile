# What one does with this checkout. `just` alone lists it.

# List the recipes
default:
    @just --list --unsorted

# Everything CI checks: format, lints, all tests against real servers (installs what is missing)
check:
    bash tests/run.sh

# Start allim with the quickstart configuration
run:
    cargo run --release -- run --config config/quickstart.toml

# Measure: what the performance table is made from
bench:
    cargo bench

# Two hundred thousand simulated histories; then kill, stop, cut off and starve daemons over and over while posts flow (long)
soak:
    ALLIM_HISTORIES=200000 cargo test --release --locked --test journey --test simulation -- --nocapture
    ALLIM_SOAK=1 bash tests/services.sh exec -- cargo test --release --locked --test chaos -- --nocapture --test-threads=3

# Ten minutes of posts that hold whatever breaks readers, through every renderer (docs/soak.md)
fuzz seconds="600":
    ALLIM_FUZZ_SECONDS={{seconds}} cargo test --locked --test fuzz whatever -- --nocapture

# The clients of networks against a real Matrix server (installs it)
real:
    bash tests/real.sh

# Take the pictures of docs/images
screenshots:
    cargo build --locked
    bash docs/images/make.sh

# Format the code
fmt:
    cargo fmt
