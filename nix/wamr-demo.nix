# `nix run .#demo`: the lab with the programs it looks for beside itself, and the tools that make
# the node image. The Wasm workload still wants Debian's wasi-libc; `wamr-lab doctor` says so.
{
  clang,
  gcc,
  go,
  iproute2,
  iptables,
  lib,
  lld,
  mmdebstrap,
  pkg-config,
  runCommand,
  util-linux,
  wamr-crun,
  wamr-lab,
  wamr-report,
  writeShellApplication,
}:
let
  # Copies, for the lab resolves links when it looks beside its own executable.
  programs = runCommand "wamr-programs" { } ''
    mkdir -p $out/bin
    cp ${wamr-crun}/bin/* ${wamr-crun}/libexec/wamr-crun/* $out/bin
    cp ${lib.getExe wamr-lab} ${lib.getExe wamr-report} $out/bin
  '';
in
writeShellApplication {
  name = "wamr-demo";
  runtimeInputs = [
    clang
    gcc
    go
    iproute2
    iptables
    lld
    mmdebstrap
    pkg-config
    util-linux
  ];
  text = ''exec ${programs}/bin/wamr-lab demo "$@"'';
}
