# The compiler of Wasm modules, by itself: built together with the runner of what it makes, cargo
# would put the compiler into that runner. Static, as the programs that start it.
{
  glibc,
  lib,
  libseccomp,
  pkg-config,
  rustPlatform,
  source,
}:
let
  libseccompStatic = libseccomp.overrideAttrs { dontDisableStatic = true; };
in
rustPlatform.buildRustPackage {
  pname = "wamr-compile";
  inherit (source) version src cargoLock;
  __structuredAttrs = true;
  strictDeps = true;
  # nixpkgs would write a list of the crates into each program, which no other build of them has.
  auditable = false;

  cargoBuildFlags = [ "--package=wamr-compile" ];
  cargoTestFlags = [
    "--package=wamr-compile"
    "--bins"
  ];

  nativeBuildInputs = [ pkg-config ];
  buildInputs = [
    glibc.static
    libseccompStatic
  ];
  env = {
    RUSTFLAGS = "-C target-feature=+crt-static";
    LIBSECCOMP_LINK_TYPE = "static";
    LIBSECCOMP_LIB_PATH = "${lib.getLib libseccompStatic}/lib";
  };

  meta = source.meta // {
    description = "Compiler of WebAssembly modules for wamr-crun";
    mainProgram = "wamr-compile";
  };
}
