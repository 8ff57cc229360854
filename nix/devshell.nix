# `nix develop`: what the packages build with, and what developing needs besides.
{
  cargo,
  clippy,
  go,
  mkShell,
  packages,
  rust-analyzer,
  rustfmt,
}:
mkShell {
  inputsFrom = [
    packages.wamr-crun
    packages.wamr-lab
  ];
  packages = [
    cargo
    clippy
    go
    rust-analyzer
    rustfmt
  ];
  # The runtime alone is static; the workspace's tests link as usual.
  shellHook = "unset RUSTFLAGS";
}
