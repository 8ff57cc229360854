# Packages of nixpkgs by name, as derivations that nobody builds. A name that is not here is an
# error; so is an argument that a builder does not have. Versions and arguments of the peers are
# those of the copy that docs/nix.md names. `overlay` is laid over all of it.
{
  lib,
  overlay ? _: _: { },
  system,
}:
let
  inherit (builtins) readFile;
  # What has a name and can be looked at, as `nix flake show` does.
  fake =
    pname: attributes:
    assert sound pname attributes;
    let
      outputs = attributes.outputs or [ "out" ];
      built = derivation {
        name = pname;
        inherit outputs system;
        builder = "/bin/sh";
        # The text of a build is part of it: what cannot be evaluated is found.
        text = builtins.toJSON (
          removeAttrs attributes [
            "meta"
            "passthru"
            "outputs"
          ]
        );
      };
    in
    attributes
    // built
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
  # Cargo hands RUSTFLAGS to what runs while it builds as well, unless it is told a target; a
  # procedural macro cannot be linked statically. Source: Cargo's reference, `build.rustflags`.
  sound =
    pname: attributes:
    let
      phase = attributes.buildPhase or "";
    in
    if
      lib.hasInfix "+crt-static" (attributes.env.RUSTFLAGS or "")
      && lib.hasInfix "cargo " phase
      && !lib.hasInfix "--target" phase
    then
      throw "${pname}: cargo without --target links procedural macros statically, which fails"
    else
      true;
  # A package whose recipe has arguments of its own, as `makeOverridable` hands them out.
  overridable =
    recipe: given:
    recipe given
    // {
      override = {
        __functionArgs = builtins.functionArgs recipe;
        __functor = _: more: overridable recipe (given // more);
      };
    };
  peers = {
    # Engines are on unless they are turned off, and crun takes the first one that it has.
    # Source: nixpkgs pkgs/by-name/cr/crun/package.nix, copy of mid-2026.
    crun = overridable (
      {
        withLibkrun ? true,
        withLibkrunSEV ? false,
        withWamr ? false,
        withWasmedge ? true,
        withWasmer ? false,
        withWasmtime ? true,
      }:
      fake "crun" {
        version = "1.29.1";
        env.NIX_LDFLAGS = "-lcriu";
        configureFlags =
          lib.optional withLibkrun "--with-libkrun"
          ++ lib.optional withWamr "--with-wamr"
          ++ lib.optional withWasmedge "--with-wasmedge"
          ++ lib.optional withWasmer "--with-wasmer"
          ++ lib.optional withWasmtime "--with-wasmtime";
      }
    ) { };
    # Source: nixpkgs pkgs/by-name/yo/youki/package.nix, copy of mid-2026.
    youki = fake "youki" {
      version = "0.6.0";
      cargoBuildFlags = [
        "-p"
        "youki"
        "--features"
        "systemd"
      ];
    };
    # A release that every row of the table starts under.
    containerd = fake "containerd" { version = "2.2.9"; };
    # Its program is a wrapper of `bin/.runc-wrapped`.
    # Source: nixpkgs pkgs/by-name/ru/runc/package.nix, copy of mid-2026.
    runc = fake "runc" {
      version = "1.4.3";
      outputs = [
        "out"
        "man"
      ];
      meta.mainProgram = "runc";
    };
    # Source: nixpkgs pkgs/by-name/ku/kubernetes-metrics-server/package.nix, copy of mid-2026.
    kubernetes-metrics-server = fake "kubernetes-metrics-server" {
      version = "0.6.4";
      meta.mainProgram = "metrics-server";
    };
  };
  plain = lib.genAttrs [
    "busybox"
    "cargo"
    "cfssl"
    "clippy"
    "clang"
    "cmake"
    "cni-plugins"
    "coreutils"
    "deadnix"
    "gcc"
    "go"
    "iproute2"
    "iptables"
    "jq"
    "kubernetes"
    "lld"
    "mmdebstrap"
    "pkg-config"
    "procps"
    "protobuf"
    "dbus"
    "python313"
    "rust-analyzer"
    "rustc"
    "rustfmt"
    "shadow"
    "simde"
    "skopeo"
    "systemd"
    "elfutils"
    "util-linux"
  ] (name: fake name { });
  split = {
    glibc = fake "glibc" {
      outputs = [
        "out"
        "static"
      ];
    };
    libseccomp = fake "libseccomp" {
      outputs = [
        "out"
        "lib"
        "dev"
      ];
    };
    wasmedge = fake "wasmedge" { meta.mainProgram = "wasmedge"; };
  };
  # `mkDerivation` and what is made of it: attributes, or a function of the final ones.
  derive =
    attributes:
    let
      final = if builtins.isFunction attributes then attributes final else attributes;
    in
    fake (final.pname or final.name) final;
  pkgs = base // overlay pkgs base;
  base =
    plain
    // split
    // peers
    // {
      inherit lib pkgs system;
      extend =
        upper:
        import ./pkgs.nix {
          inherit lib system;
          overlay = final: prev: overlay final prev // upper final (prev // overlay final prev);
        };
      stdenv = {
        mkDerivation = derive;
        hostPlatform = {
          isx86_64 = system == "x86_64-linux";
          rust.rustcTargetSpec = lib.replaceStrings [ "-linux" ] [ "-unknown-linux-gnu" ] system;
        };
      };
      runCommand =
        name: attributes: script:
        fake name (attributes // { inherit script; });
      runCommandCC =
        name: attributes: script:
        fake name (attributes // { inherit script; });
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
          meta = {
            mainProgram = name;
          }
          // meta;
        };
      linkFarm = name: entries: fake name { inherit entries; };
      symlinkJoin = { name, paths }: fake name { inherit paths; };
      mkShell = attributes: fake "shell" (removeAttrs attributes [ "inputsFrom" ]);
      rustPlatform = {
        buildRustPackage = derive;
        bindgenHook = fake "bindgen-hook" { };
        importCargoLock = { lockFile }: fake "cargo-vendor-dir" { lock = readFile lockFile; };
      };
      dockerTools.buildLayeredImage =
        {
          name,
          tag,
          contents,
          config,
          compressor,
        }:
        fake "docker-image" {
          inherit
            compressor
            config
            contents
            name
            tag
            ;
        };
      nixosOptionsDoc =
        {
          options,
          transformOptions ? (option: option),
          warningsAreErrors ? true,
        }:
        assert builtins.isAttrs options && warningsAreErrors;
        {
          optionsCommonMark = fake "options.md" { };
        };
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
          nodes = lib.mapAttrs (
            name: machine:
            (lib.nixosSystem {
              modules = [
                ./nixos/modules/virtualisation/qemu-vm.nix
                ./nixos/modules/testing/test-instrumentation.nix
                machine
                { networking.hostName = lib.mkDefault name; }
              ];
              specialArgs.pkgs = pkgs;
            }).config
          ) test.nodes;
          machines = lib.mapAttrs (_: node: node.system.build.vm) nodes;
        in
        fake "vm-test-run-${test.name}" {
          inherit machines;
          script = test.testScript;
          passthru.config = test;
          passthru.nodes = nodes;
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
