# The options of NixOS that this repository's modules set, with the types and the own definitions
# that NixOS has for them. Whatever is not declared here is an error.
# Source: nixpkgs nixos/modules, release 26.05.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit default type; };
  kubernetes = config.services.kubernetes;
  certificate = name: {
    caCert = kubernetes.caFile;
    cert = "${kubernetes.secretsPath}/${name}.pem";
    key = "${kubernetes.secretsPath}/${name}-key.pem";
  };
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
    kubernetes = removeAttrs kubernetes [ "lib" ];
  };
  component.extraOpts = option (types.separatedString " ") "";
in
{
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
      loader.grub.device = option types.str "";
    };
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
        };
      }
    )) { };
    virtualisation.containerd = {
      enable = option types.bool false;
      settings = option (types.toml or (types.attrsOf types.anything)) { };
    };
    services.kubernetes = {
      roles = option (types.listOf (
        types.enum [
          "master"
          "node"
        ]
      )) [ ];
      masterAddress = mkOption { type = types.str; };
      apiserverAddress = option types.str "https://${kubernetes.masterAddress}:6443";
      clusterCidr = option (types.nullOr types.str) "10.1.0.0/16";
      secretsPath = option types.path "/var/lib/kubernetes/secrets";
      caFile = option (types.nullOr types.path) "${kubernetes.secretsPath}/ca.pem";
      package = option types.package pkgs.kubernetes;
      lib = option types.raw {
        mkCert = { name, CN, action ? "", fields ? { }, hosts ? [ ] }: certificate name;
        mkKubeConfig =
          name: { server, caFile ? kubernetes.caFile, certFile ? null, keyFile ? null }:
          pkgs.writeText "${name}-kubeconfig" (toString [ server caFile certFile keyFile ]);
      };
      pki = {
        certs = option types.attrs { };
        etcClusterAdminKubeconfig = option (types.nullOr types.str) null;
      };
      addons.dns.enable = option types.bool false;
      addonManager = {
        enable = option types.bool false;
        bootstrapAddons = option types.attrs { };
      };
      flannel.enable = option types.bool false;
      proxy.enable = option types.bool false;
      apiserver = component // {
        advertiseAddress = option (types.nullOr types.str) null;
        allowPrivileged = option types.bool false;
        serviceClusterIpRange = option types.str "10.0.0.0/24";
      };
      kubelet = {
        hostname = option types.str config.networking.hostName;
        nodeIp = option (types.nullOr types.str) null;
        clusterDns = option (types.listOf types.str) [ "10.0.0.254" ];
        clientCaFile = option (types.nullOr types.path) kubernetes.caFile;
        tlsCertFile = option (types.nullOr types.path) null;
        tlsKeyFile = option (types.nullOr types.path) null;
        extraConfig = option (types.attrsOf (types.json or types.anything)) { };
        cni.config = option (types.listOf types.attrs) [ ];
      };
      controllerManager = component;
      scheduler = component;
    };
  };

  config = lib.mkMerge [
    {
      system.build = {
        toplevel = system (pkgs.runCommand "nixos-system" { inherit everything; } "");
        vm = system (pkgs.runCommand "nixos-vm" { meta.mainProgram = "run-nixos-vm"; } "");
        images.qemu = system (pkgs.runCommand "nixos-disk" { } "");
      };
      virtualisation.containerd.settings = {
        version = 2;
        plugins."io.containerd.grpc.v1.cri".cni.bin_dir =
          lib.mkOptionDefault "${pkgs.cni-plugins}/bin";
      };
    }
    (lib.mkIf (kubernetes.roles != [ ]) {
      services.kubernetes = {
        addonManager.enable = lib.mkDefault true;
        addons.dns.enable = lib.mkDefault true;
        flannel.enable = lib.mkDefault true;
        proxy.enable = lib.mkDefault true;
      };
      virtualisation.containerd = {
        enable = lib.mkDefault true;
        settings.plugins."io.containerd.grpc.v1.cri" = {
          sandbox_image = lib.mkDefault "docker.io/library/pause:latest";
          cni.max_conf_num = lib.mkDefault 0;
          containerd.runtimes.runc = {
            runtime_type = lib.mkDefault "io.containerd.runc.v2";
            options.SystemdCgroup = lib.mkDefault true;
          };
        };
      };
    })
  ];
}
