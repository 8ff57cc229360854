# All packages of this repository, one file each; `default` is what a cluster node needs.
# `forFlake` leaves out what is no package by itself, and on other processors all but the runtime.
{
  modules,
  pkgs,
  tables,
}:
let
  inherit (pkgs) lib;
  call = path: arguments: pkgs.callPackage path (arguments // { inherit source; });
  source = pkgs.callPackage ./source.nix { };
  everywhere = {
    wamr-compile = call ./wamr-compile.nix { };
    wamr-crun = call ./wamr-crun.nix { inherit (everywhere) wamr-compile; };
    wamr-lab = call ./wamr-lab.nix { };
    wamr-report = call ./wamr-report.nix { };
  };
  peers = pkgs.callPackage ./peers.nix { inherit tables; };
  images = pkgs.callPackage ./workload-images.nix { inherit tables; };
  sweep =
    densities:
    pkgs.callPackage ./sweep.nix {
      inherit densities;
      inherit (everywhere) wamr-report;
      inherit (pkgs.testers.runNixOSTest scenario) driver;
    };
  scenario = import ../nixos-tests/sweep.nix { inherit modules tables; };
  ofReport = { inherit (everywhere) wamr-report; };
  forLab = {
    wamr-demo = pkgs.callPackage ./wamr-demo.nix {
      inherit (everywhere) wamr-crun wamr-lab wamr-report;
    };
    workload-images = images;
    report-demo = pkgs.callPackage ./report-demo.nix ofReport;
    report-reference = pkgs.callPackage ./report-reference.nix ofReport;
    options = pkgs.callPackage ./options-doc.nix { inherit modules pkgs; };
    sweep = sweep [ ];
  }
  // lib.listToAttrs (
    map (pods: lib.nameValuePair "sweep-${toString pods}" (sweep [ pods ])) [
      10
      100
      400
      500
    ]
  )
  // peers;
  all = everywhere // lib.optionalAttrs pkgs.stdenv.hostPlatform.isx86_64 forLab;
in
all
// {
  runc = pkgs.callPackage ./runc.nix { };
  forFlake = all // {
    default = everywhere.wamr-crun;
    # What a binary cache should hold.
    prebuilt = pkgs.linkFarm "wamr-prebuilt" all;
  };
}
