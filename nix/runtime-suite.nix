# What nixos-tests/privileged.py takes into a machine, as nixos-tests/suite.sh gathers it on Debian:
# the runtime's tests that need root as a program, the programs under test, guests in WebAssembly.
{
  pkgsCross,
  pkgsStatic,
  runCommand,
  shadow,
  stdenv,
  wamr-crun,
}:
let
  own = ../runtime/tests/privileged/guests;
  workloads = ../vm-images/workloads;
  tests = wamr-crun.overrideAttrs {
    pname = "wamr-crun-tests";
    buildPhase = ''
      cargo test --target ${stdenv.hostPlatform.rust.rustcTargetSpec} --offline --locked \
        --package wamr-crun --test privileged --no-run --message-format json > messages.json
    '';
    doCheck = false;
    installPhase = ''
      test=$(sed -n 's/.*"executable":"\([^"]*privileged-[^"]*\)".*/\1/p' messages.json)
      install -D "$test" $out/bin/privileged
    '';
    postInstall = "";
  };
  guests = pkgsCross.wasi32.runCommandCC "wamr-crun-guests" { hardeningDisable = [ "all" ]; } ''
    mkdir $out
    for source in ${own}/*.c ${workloads}/{http,memory,microservice}.c; do
      $CC -mcpu=mvp -Os -s -o "$out/$(basename "$source" .c).wasm" "$source"
    done
  '';
in
runCommand "wamr-crun-suite" { } ''
  mkdir -p $out/bin
  cp ${tests}/bin/privileged $out
  cp -r ${guests} $out/guests
  cp ${wamr-crun}/bin/wamr-crun ${wamr-crun}/libexec/wamr-crun/* $out/bin
  cp ${pkgsStatic.busybox}/bin/busybox $out/bin
  cp ${shadow}/bin/newuidmap ${shadow}/bin/newgidmap $out
''
