# What a machine says about its node.
{ tables }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.wamr-lab.node;
in
{
  options.services.wamr-lab.node = {
    enable = lib.mkEnableOption "a Kubernetes node of one machine that wamr-lab measures";
    runtimes = mkOption {
      type = types.listOf (types.enum (lib.attrNames tables.runtimes));
      default = [
        "wamr-crun"
        "runc-python"
      ];
      description = "Rows of lab/runtimes.toml that the node can run.";
    };
    workloads = mkOption {
      type = types.listOf (types.enum (lib.attrNames tables.workloads));
      default = [
        "microservice-wasm"
        "microservice-python"
      ];
      description = "Images of vm-images/workloads/workloads.toml that are on the node.";
    };
    maxPods = mkOption {
      type = types.ints.positive;
      default = 500;
      description = "Pods that the kubelet admits.";
    };
    podCidr = mkOption {
      type = types.str;
      default = "10.88.0.0/21";
      description = ''
        Addresses of the bridge and of the pods on it. The node itself has the first usable one;
        the first and the last of the range are not used.
      '';
    };
    serviceCidr = mkOption {
      type = types.str;
      default = "10.96.0.0/16";
      description = "Addresses of Services. Nothing routes them: there is no kube-proxy.";
    };
    controlPlane = mkOption {
      type = types.enum [
        "stock"
        "unthrottled"
      ];
      default = "unthrottled";
      description = ''
        Whether to keep Kubernetes' own limits on requests per second, with which a Job's pods
        are created at 20 a second, or to raise them until they no longer affect the start of
        some hundred pods.
      '';
    };
    cgroupDriver = mkOption {
      type = types.enum [
        "cgroupfs"
        "systemd"
      ];
      default = "systemd";
      description = "Who creates the control groups of pods and containers.";
    };
    metricsServer = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether metrics-server runs, as a process of the machine rather than a pod.";
      };
      package = mkOption {
        type = types.package;
        default = pkgs.kubernetes-metrics-server;
        defaultText = lib.literalExpression "pkgs.kubernetes-metrics-server";
        description = "The package of metrics-server.";
      };
      resolutionSeconds = mkOption {
        type = types.ints.positive;
        default = 15;
        description = "Seconds between two scrapes.";
      };
    };
    profile = mkOption {
      type = types.nullOr (types.enum (lib.attrNames tables.profiles));
      default = null;
      example = "xeon-4210r";
      description = ''
        Size and processor of the virtual machine that this system is, a row of
        vm-images/vm/profiles.toml. Only machines with the options of NixOS' qemu-vm.nix have one.
      '';
    };
    address = mkOption {
      type = types.str;
      readOnly = true;
      default = (import ../ipv4.nix { inherit lib; }).hostOf cfg.podCidr;
      defaultText = lib.literalExpression "the first address of podCidr";
      description = "The node's address: API server and kubelet listen on it.";
    };
  };
}
