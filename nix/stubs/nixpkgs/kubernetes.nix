# `services.kubernetes` as NixOS has it: the options that this repository sets or reads, and what
# NixOS' own modules define, computed as they compute it.
# Source: nixpkgs nixos/modules/services/cluster/kubernetes/{default,addon-manager,addons/dns,
# apiserver,controller-manager,kubelet,pki}.nix, copies of mid-2026 (docs/nix.md), read 2026-11-30.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  option = type: default: mkOption { inherit default type; };
  top = config.services.kubernetes;
  secret = name: "${top.secretsPath}/${name}.pem";
  mkCert =
    {
      name,
      CN,
      hosts ? [ ],
      fields ? { },
      action ? "",
      privateKeyOwner ? "kubernetes",
      privateKeyGroup ? "kubernetes",
    }:
    {
      inherit
        name
        CN
        hosts
        fields
        action
        privateKeyOwner
        privateKeyGroup
        ;
      caCert = secret "ca";
      cert = secret name;
      key = secret "${name}-key";
    };
  mkKubeConfig =
    name: conf:
    pkgs.writeText "${name}-kubeconfig" (
      builtins.toJSON {
        clusters = [
          { cluster.certificate-authority = conf.caFile or top.caFile; }
          conf.server
        ];
        user = [
          conf.certFile
          conf.keyFile
        ];
      }
    );
  # A client's; `server` has no default of its own.
  kubeconfig.server = mkOption { type = types.str; };
  component = {
    enable = option types.bool false;
    extraOpts = option (types.separatedString " ") "";
  };
  prefixOf = lib.concatStringsSep "." (
    lib.take 3 (lib.splitString "." top.apiserver.serviceClusterIpRange)
  );
  isAny = lib.any (part: part.enable) [
    top.apiserver
    top.scheduler
    top.controllerManager
    top.kubelet
    top.proxy
    top.addonManager
  ];
  containerd = {
    version = 2;
    root = "/var/lib/containerd";
    state = "/run/containerd";
    oom_score = 0;
    grpc.address = "/run/containerd/containerd.sock";
    plugins."io.containerd.grpc.v1.cri" = {
      sandbox_image = "pause:latest";
      cni = {
        bin_dir = "/opt/cni/bin";
        max_conf_num = 0;
      };
      containerd.runtimes.runc = {
        runtime_type = "io.containerd.runc.v2";
        options.SystemdCgroup = true;
      };
    };
  };
in
{
  options.services.kubernetes = {
    roles = option (types.listOf (
      types.enum [
        "master"
        "node"
      ]
    )) [ ];
    masterAddress = mkOption { type = types.str; };
    apiserverAddress = mkOption { type = types.str; };
    clusterCidr = option (types.nullOr types.str) "10.1.0.0/16";
    dataDir = option types.path "/var/lib/kubernetes";
    secretsPath = option types.path (top.dataDir + "/secrets");
    easyCerts = option types.bool false;
    caFile = option (types.nullOr types.path) null;
    package = option types.package pkgs.kubernetes;
    lib = option types.raw { inherit mkCert mkKubeConfig; };
    pki = {
      enable = option types.bool false;
      certs = option types.attrs { };
      etcClusterAdminKubeconfig = option (types.nullOr types.str) null;
    };
    addons.dns = {
      enable = option types.bool false;
      clusterDomain = option types.str "cluster.local";
      clusterIp = option types.str "${prefixOf}.254";
    };
    addonManager = {
      enable = option types.bool false;
      bootstrapAddons = option (types.attrsOf types.attrs) { };
    };
    flannel.enable = option types.bool false;
    proxy = component;
    apiserver = component // {
      advertiseAddress = option (types.nullOr types.str) null;
      allowPrivileged = option types.bool false;
      securePort = option types.int 6443;
      serviceClusterIpRange = option types.str "10.0.0.0/24";
    };
    kubelet = component // {
      inherit kubeconfig;
      # No default: whoever enables the kubelet gets one below.
      hostname = mkOption { type = types.str; };
      nodeIp = option (types.nullOr types.str) null;
      clusterDns = option (types.listOf types.str) [ "10.1.0.1" ];
      clientCaFile = option (types.nullOr types.path) top.caFile;
      tlsCertFile = option (types.nullOr types.path) null;
      tlsKeyFile = option (types.nullOr types.path) null;
      extraConfig = option (types.attrsOf (types.json or types.anything)) { };
      cni.config = option (types.listOf types.attrs) [ ];
    };
    controllerManager = component // {
      inherit kubeconfig;
      allocateNodeCIDRs = option types.bool true;
      clusterCidr = option types.str top.clusterCidr;
    };
    scheduler = component // {
      inherit kubeconfig;
    };
  };

  config = lib.mkMerge [
    (lib.mkIf (lib.elem "master" top.roles) {
      services.kubernetes = {
        apiserver.enable = mkDefault true;
        scheduler.enable = mkDefault true;
        controllerManager.enable = mkDefault true;
        addonManager.enable = mkDefault true;
      };
    })
    (lib.mkIf (top.roles != [ ]) {
      services.kubernetes = {
        kubelet.enable = mkDefault true;
        proxy.enable = mkDefault true;
        flannel.enable = mkDefault true;
        easyCerts = mkDefault true;
      };
    })
    (lib.mkIf top.easyCerts {
      services.kubernetes = {
        pki.enable = mkDefault true;
        caFile = secret "ca";
      };
    })
    (lib.mkIf isAny {
      services.kubernetes = {
        addons.dns.enable = mkDefault true;
        apiserverAddress = mkDefault "https://${
          if top.apiserver.advertiseAddress != null then
            top.apiserver.advertiseAddress
          else
            "${top.masterAddress}:${toString top.apiserver.securePort}"
        }";
      };
    })
    (lib.mkIf top.addons.dns.enable {
      services.kubernetes.kubelet.clusterDns = mkDefault [ top.addons.dns.clusterIp ];
    })
    (lib.mkIf top.apiserver.enable {
      services.kubernetes.pki = {
        etcClusterAdminKubeconfig = mkDefault "kubernetes/cluster-admin.kubeconfig";
      };
    })
    (lib.mkIf top.scheduler.enable {
      services.kubernetes.scheduler.kubeconfig.server = mkDefault top.apiserverAddress;
    })
    (lib.mkIf top.controllerManager.enable {
      services.kubernetes.controllerManager.kubeconfig.server = mkDefault top.apiserverAddress;
      # Not NixOS' module but the daemon refuses it, when it starts: a node gets a /24 of the range.
      # Source: Kubernetes pkg/controller/nodeipam/node_ipam_controller.go.
      assertions = [
        {
          assertion =
            let
              parts = lib.splitString "/" top.controllerManager.clusterCidr;
            in
            !top.controllerManager.allocateNodeCIDRs || lib.toInt (lib.elemAt parts 1) <= 24;
          message =
            "kube-controller-manager ends: a node's /24 does not fit into"
            + " ${top.controllerManager.clusterCidr}, and allocateNodeCIDRs is on.";
        }
      ];
    })
    (lib.mkIf top.kubelet.enable {
      boot.kernelModules = [
        "br_netfilter"
        "overlay"
      ];
      boot.kernel.sysctl = {
        "net.bridge.bridge-nf-call-iptables" = 1;
        "net.ipv4.ip_forward" = 1;
        "net.bridge.bridge-nf-call-ip6tables" = 1;
      };
      services.kubernetes.kubelet = {
        hostname = mkDefault (lib.toLower config.networking.fqdnOrHostName);
        kubeconfig.server = mkDefault top.apiserverAddress;
      };
      virtualisation.containerd = {
        enable = mkDefault true;
        settings = lib.mapAttrsRecursive (_: mkDefault) containerd;
      };
    })
    (lib.mkIf (top.pki.enable && top.pki.etcClusterAdminKubeconfig != null) {
      environment.etc.${top.pki.etcClusterAdminKubeconfig}.source = mkKubeConfig "cluster-admin" {
        server = top.apiserverAddress;
        certFile = secret "cluster-admin";
        keyFile = secret "cluster-admin-key";
      };
    })
    (lib.mkIf (top.pki.enable && top.kubelet.enable) {
      services.kubernetes.kubelet = {
        clientCaFile = mkDefault (secret "ca");
        tlsCertFile = mkDefault (secret "kubelet");
        tlsKeyFile = mkDefault (secret "kubelet-key");
      };
    })
  ];
}
