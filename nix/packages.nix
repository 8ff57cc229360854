# All packages of this repository, one file each; `default` is what a cluster node needs.
{ callPackage, lib }:
let
  source = callPackage ./source.nix { };
  packages = {
    wamr-crun = callPackage ./wamr-crun.nix { inherit source; };
    wamr-lab = callPackage ./wamr-lab.nix { inherit source; };
    wamr-report = callPackage ./wamr-report.nix { inherit source; };
    wamr-demo = callPackage ./wamr-demo.nix { inherit (packages) wamr-crun wamr-lab wamr-report; };
    default = packages.wamr-crun;
  };
in
packages
