# `nix run .#sweep -- --pods 400`: a sweep in a NixOS machine, and its report. It runs outside of
# Nix' sandbox: a measurement that Nix kept as a build would be the same numbers for ever.
{
  coreutils,
  densities ? [ ],
  driver,
  lib,
  wamr-report,
  writeShellApplication,
}:
let
  fixed = lib.concatMapStringsSep " " (pods: "--pods ${toString pods}") densities;
in
writeShellApplication {
  name = lib.concatMapStringsSep "-" toString ([ "wamr-sweep" ] ++ densities);
  runtimeInputs = [
    coreutils
    driver
    wamr-report
  ];
  text = ''
    set -- ${fixed} "$@"
    ${builtins.readFile ./sweep.sh}
  '';
  meta.description = "Pods of several runtimes on a NixOS node in a virtual machine, measured";
}
