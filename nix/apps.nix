# What `nix run .#NAME` runs. Both measure, so neither is a build.
{ lib, packages }:
let
  app = package: description: {
    type = "app";
    program = lib.getExe package;
    meta = { inherit description; };
  };
in
{
  demo = app packages.wamr-demo "Ten pods each of four systems on a node of this machine; as root";
  sweep = app packages.sweep "Pods of several systems on a NixOS node in a virtual machine";
}
