# What `nix flake check` builds: every package with its tests, formatting, lints, the house rules,
# an evaluated node, and on a virtual machine the runtime's own tests and the smoke scenario.
{
  format,
  modules,
  packages,
  pkgs,
  self,
}:
let
  inherit (pkgs) lib;
  # Runs `script` in a writable copy of the repository.
  inCopy =
    name: tools: script:
    pkgs.runCommand name { nativeBuildInputs = tools; } ''
      cp -r ${self} repository
      chmod -R u+w repository
      cd repository
      ${script}
      touch $out
    '';
  # As built, but clippy in place of the compiler; its tests are the package's. With a target, for
  # the RUSTFLAGS of a static program must not reach procedural macros.
  lint =
    package:
    package.overrideAttrs (old: {
      pname = "${old.pname}-clippy";
      nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ [ pkgs.clippy ];
      buildPhase = ''
        cargo clippy --target ${pkgs.stdenv.hostPlatform.rust.rustcTargetSpec} --offline --locked \
          ${lib.concatStringsSep " " old.cargoBuildFlags} --all-targets -- -D warnings
      '';
      doCheck = false;
      installPhase = "mkdir -p $out";
      postInstall = "";
    });
  suite = pkgs.callPackage ./runtime-suite.nix { inherit (packages) wamr-crun; };
in
{
  inherit (packages)
    wamr-compile
    wamr-crun
    wamr-lab
    wamr-report
    ;
  inherit (packages) report-demo report-reference options;

  clippy-compile = lint packages.wamr-compile;
  clippy-runtime = lint packages.wamr-crun;
  clippy-lab = lint packages.wamr-lab;
  clippy-report = lint packages.wamr-report;

  fmt = format.config.build.check self;

  tidy =
    inCopy "tidy"
      [
        pkgs.gcc
        pkgs.rustc
      ]
      ''
        rustc --edition 2024 --test lab/tests/tidy/main.rs -o ../tidy
        ../tidy
      '';

  # Every assertion of the modules, and the whole of each machine's configuration.
  modules = pkgs.linkFarm "wamr-nodes" (
    lib.mapAttrs (_: node: node.config.system.build.toplevel) self.nixosConfigurations
  );

  privileged = pkgs.testers.runNixOSTest (import ../nixos-tests/privileged.nix { inherit suite; });

  smoke = pkgs.testers.runNixOSTest (import ../nixos-tests/smoke.nix { inherit modules; });
}
