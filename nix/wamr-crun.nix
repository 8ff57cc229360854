# The OCI runtime, the runner that it execs, and the containerd shim that looks for the runtime
# beside itself. All are static: the runner enters containers whose root holds no library, and none
# pays for a dynamic loader at every container start.
{
  cmake,
  glibc,
  lib,
  libseccomp,
  pkg-config,
  rustPlatform,
  simde,
  source,
  wamr-compile,
}:
let
  libseccompStatic = libseccomp.overrideAttrs { dontDisableStatic = true; };
in
rustPlatform.buildRustPackage {
  pname = "wamr-crun";
  inherit (source) version src cargoLock;
  __structuredAttrs = true;
  strictDeps = true;
  # nixpkgs would write a list of the crates into each program, which no other build of them has.
  auditable = false;

  cargoBuildFlags = [
    "--package=wamr-crun"
    "--package=wamr-runner"
    "--package=wasmtime-runner"
    "--package=containerd-shim-wamr-crun-v1"
  ];
  cargoTestFlags = [
    "--package=wamr-cgroup-stats"
    "--package=wamr-engine-conventions"
    "--package=wamr-guest"
    "--package=wamr-plan"
    "--package=wamr-crun"
    "--package=wasmtime-runner"
    "--package=containerd-shim-wamr-crun-v1"
    "--lib"
    "--bins"
  ];
  buildType = "resident";
  checkType = "debug";

  # bindgenHook lets bindgen read WAMR's header; cmake is called by the crate wamrx-sys alone.
  nativeBuildInputs = [
    cmake
    pkg-config
    rustPlatform.bindgenHook
  ];
  dontUseCmakeConfigure = true;
  buildInputs = [
    glibc.static
    libseccompStatic
  ];
  env = {
    RUSTFLAGS = "-C target-feature=+crt-static";
    SIMDE_INCLUDE_DIR = "${lib.getDev simde}/include";
    LIBSECCOMP_LINK_TYPE = "static";
    LIBSECCOMP_LIB_PATH = "${lib.getLib libseccompStatic}/lib";
  };

  postInstall = ''
    install -D --target-directory=$out/libexec/wamr-crun $out/bin/{wamr,wasmtime}-runner
    rm $out/bin/{wamr,wasmtime}-runner
    ln -s ${wamr-compile}/bin/wamr-compile $out/libexec/wamr-crun
  '';

  meta = source.meta // {
    description = "OCI runtime for WebAssembly containers on WAMR and for native containers";
    mainProgram = "wamr-crun";
  };
}
