# The options of NixOS that this repository's modules set, with the types and the own definitions
# that NixOS has for them. Whatever is not declared here is an error.
# Source: nixpkgs nixos/modules, copies of mid-2026 (docs/nix.md), read 2026-11-30.
{
  config,
  extendModules,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit default type; };
  failed = map (entry: entry.message) (lib.filter (entry: !entry.assertion) config.assertions);
  system =
    value:
    if failed == [ ] then
      value
    else
      throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (text: "- ${text}") failed}";
  # Whatever would reach the machine: it must be there and of its type.
  everything = {
    inherit (config)
      boot
      environment
      networking
      systemd
      virtualisation
      warnings
      ;
    kubernetes = lib.optionalAttrs config.services.kubernetes.kubelet.enable (
      removeAttrs config.services.kubernetes [ "lib" ]
    );
    journald = config.services.journald;
  };
  network = config.networking;
in
{
  imports = [ ./kubernetes.nix ];

  options = {
    assertions = option (types.listOf types.unspecified) [ ];
    warnings = option (types.listOf types.str) [ ];
    nixpkgs.hostPlatform = option types.str "x86_64-linux";
    swapDevices = option (types.listOf types.attrs) [ ];
    system = {
      stateVersion = option types.str "26.05";
      build = option types.attrs { };
    };
    boot = {
      kernelModules = option (types.listOf types.str) [ ];
      kernelParams = option (types.listOf types.str) [ ];
      kernel.sysctl = option (types.attrsOf types.anything) { };
      consoleLogLevel = option types.int 4;
      loader.grub.device = option types.str "";
    };
    # The variants of the machine that `system.build.images` has.
    image.modules = option (types.attrsOf types.deferredModule) { };
    services.journald.extraConfig = option types.lines "";
    fileSystems = option (types.attrsOf types.attrs) { };
    environment = {
      etc = option (types.attrsOf (
        types.submodule {
          options = {
            text = option (types.nullOr types.lines) null;
            source = option (types.nullOr types.path) null;
          };
        }
      )) { };
      systemPackages = option (types.listOf types.package) [ ];
      variables = option (types.attrsOf types.str) { };
    };
    networking = {
      hostName = option types.str "nixos";
      domain = option (types.nullOr types.str) null;
      fqdnOrHostName = option types.str (
        if network.domain == null then network.hostName else "${network.hostName}.${network.domain}"
      );
      extraHosts = option types.lines "";
      firewall.trustedInterfaces = option (types.listOf types.str) [ ];
      dhcpcd.denyInterfaces = option (types.listOf types.str) [ ];
      bridges = option (types.attrsOf (
        types.submodule { options.interfaces = option (types.listOf types.str) [ ]; }
      )) { };
      interfaces = option (types.attrsOf (
        types.submodule {
          options = {
            macAddress = option (types.nullOr types.str) null;
            ipv4.addresses = option (types.listOf types.attrs) [ ];
          };
        }
      )) { };
    };
    systemd.services = option (types.attrsOf (
      types.submodule {
        options = {
          description = option types.str "";
          wantedBy = option (types.listOf types.str) [ ];
          requires = option (types.listOf types.str) [ ];
          after = option (types.listOf types.str) [ ];
          before = option (types.listOf types.str) [ ];
          path = option (types.listOf types.package) [ ];
          script = option types.lines "";
          serviceConfig = option (types.attrsOf types.unspecified) { };
          unitConfig = option (types.attrsOf types.unspecified) { };
        };
      }
    )) { };
    virtualisation.containerd = {
      enable = option types.bool false;
      settings = option (types.toml or (types.attrsOf types.anything)) { };
    };
  };

  config = {
    image.modules.qemu = ./nixos/modules/virtualisation/disk-image.nix;
    system.build = {
      toplevel = system (pkgs.runCommand "nixos-system" { inherit everything; } "");
      # NixOS extends the machine by an image's own modules, and says what came of it.
      # Source: nixpkgs nixos/modules/image/images.nix.
      images = lib.mapAttrs (
        _: module:
        let
          inherit (extendModules { modules = [ module ]; }) config;
        in
        config.system.build.image // { passthru = { inherit config; }; }
      ) config.image.modules;
    };
    virtualisation.containerd.settings = lib.mkIf config.virtualisation.containerd.enable {
      version = 2;
      plugins."io.containerd.grpc.v1.cri".cni = {
        bin_dir = lib.mkOptionDefault "${pkgs.cni-plugins}/bin";
      };
    };
  };
}
