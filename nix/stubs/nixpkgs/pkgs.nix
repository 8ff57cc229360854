# Packages of nixpkgs by name, as derivations that nobody builds. A name that is not here is an
# error; so is an argument that a builder does not have.
{ lib, system }:
let
  # What has a name and can be looked at, as `nix flake show` does.
  fake =
    pname: attributes:
    let
      outputs = attributes.outputs or [ "out" ];
      built = derivation {
        name = pname;
        inherit outputs system;
        builder = "/bin/sh";
        # The text of a build is part of it: what cannot be evaluated is found.
        text = builtins.toJSON (removeAttrs attributes [ "meta" "passthru" "outputs" ]);
      };
    in
    built
    // {
      inherit pname;
      version = attributes.version or "0";
      meta = attributes.meta or { };
      overrideAttrs =
        change:
        let
          old = attributes // {
            inherit pname;
          };
          changes = if builtins.isFunction change then change old else change;
        in
        fake (changes.pname or pname) (old // changes);
    }
    // attributes.passthru or { };
  plain = lib.genAttrs [
    "busybox"
    "cargo"
    "cfssl"
    "clippy"
    "clang"
    "cmake"
    "cni-plugins"
    "containerd"
    "coreutils"
    "crun"
    "deadnix"
    "gcc"
    "go"
    "iproute2"
    "iptables"
    "jq"
    "kubernetes"
    "kubernetes-metrics-server"
    "lld"
    "mmdebstrap"
    "pkg-config"
    "procps"
    "protobuf"
    "dbus"
    "python313"
    "runc"
    "rust-analyzer"
    "rustc"
    "rustfmt"
    "shadow"
    "simde"
    "skopeo"
    "statix"
    "systemd"
    "elfutils"
    "util-linux"
    "youki"
  ] (name: fake name { });
  split = {
    glibc = fake "glibc" { outputs = [ "out" "static" ]; };
    libseccomp = fake "libseccomp" { outputs = [ "out" "lib" "dev" ]; };
    wasmedge = fake "wasmedge" { meta.mainProgram = "wasmedge"; };
  };
  # `mkDerivation` and what is made of it: attributes, or a function of the final ones.
  derive =
    attributes:
    let
      final = if builtins.isFunction attributes then attributes final else attributes;
    in
    fake (final.pname or final.name) final;
  pkgs =
    plain
    // split
    // {
      inherit lib pkgs system;
      stdenv = {
        mkDerivation = derive;
        hostPlatform.isx86_64 = system == "x86_64-linux";
      };
      runCommand = name: attributes: script: fake name (attributes // { inherit script; });
      runCommandCC = name: attributes: script: fake name (attributes // { inherit script; });
      writeText = name: text: fake name { inherit text; };
      writeShellApplication =
        {
          name,
          text,
          runtimeInputs ? [ ],
          meta ? { },
        }:
        fake name {
          inherit runtimeInputs text;
          meta = { mainProgram = name; } // meta;
        };
      linkFarm = name: entries: fake name { inherit entries; };
      symlinkJoin = { name, paths }: fake name { inherit paths; };
      mkShell = attributes: fake "shell" (removeAttrs attributes [ "inputsFrom" ]);
      rustPlatform = {
        buildRustPackage = derive;
        bindgenHook = fake "bindgen-hook" { };
        importCargoLock =
          { lockFile }: fake "cargo-vendor-dir" { lock = builtins.readFile lockFile; };
      };
      dockerTools.buildLayeredImage =
        {
          name,
          tag,
          contents,
          config,
          compressor,
        }:
        fake "docker-image" { inherit compressor config contents name tag; };
      nixosOptionsDoc =
        { options, transformOptions ? (option: option), warningsAreErrors ? true }:
        assert builtins.isAttrs options && warningsAreErrors;
        { optionsCommonMark = fake "options.md" { }; };
      testers.runNixOSTest =
        module:
        let
          evaluated = lib.evalModules {
            modules = [
              ./test-options.nix
              module
            ];
            specialArgs.pkgs = pkgs;
          };
          test = evaluated.config;
          machines = lib.mapAttrs (
            name: machine:
            (lib.nixosSystem {
              modules = [
                ./nixos/modules/virtualisation/qemu-vm.nix
                machine
                { networking.hostName = lib.mkDefault name; }
              ];
              specialArgs.pkgs = pkgs;
            }).config.system.build.vm
          ) test.nodes;
        in
        fake "vm-test-run-${test.name}" {
          inherit machines;
          script = test.testScript;
          passthru.config = test;
          passthru.driver = fake "nixos-test-driver-${test.name}" {
            inherit machines;
            meta.mainProgram = "nixos-test-driver";
          };
        };
      pkgsCross.wasi32 = pkgs;
      pkgsStatic = pkgs;
      callPackage =
        path: overrides:
        let
          function = if builtins.isFunction path then path else import path;
          wanted = builtins.functionArgs function;
          lacking = lib.filter (name: !wanted.${name} && !(pkgs // overrides) ? ${name}) (
            lib.attrNames wanted
          );
        in
        if lacking == [ ] then
          function (builtins.intersectAttrs wanted pkgs // overrides)
        else
          throw "no package ${lib.concatStringsSep ", " lacking} for ${toString path}";
    };
in
pkgs
