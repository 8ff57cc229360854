# What `wamr-lab run --here` reads and calls on the machine: /etc/wamr-lab/machine.json
# (lab/node/src/machine.rs), the images, the programs and a kubeconfig.
{ packagesFor, tables }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.wamr-lab.node;
  packages = packagesFor pkgs;
  wanted = lib.unique ([ "pause" ] ++ cfg.workloads);
  images = lib.genAttrs wanted (name: packages.workload-images.${name});
  reference = name: "localhost/wamr-lab/${name}:1";
  # All but the images' digests, which are known when they have been built.
  static = {
    name = config.services.kubernetes.kubelet.hostname;
    runtimes = config.services.wamr-lab.handlers.table;
    control_plane = cfg.controlPlane;
    image = {
      rootfs = "/";
      # Which releases of the peers a run was of: those of nixpkgs need not be the lab's.
      versions = lib.mapAttrs (_: package: package.version) {
        inherit (pkgs)
          containerd
          crun
          wasmedge
          youki
          ;
        inherit (packages) runc;
        kubelet = config.services.kubernetes.package;
        metrics-server = cfg.metricsServer.package;
      };
      programs = [ ];
      workloads = { };
    };
  };
  rows = lib.concatMapStringsSep " " (image: "${image}/row.json") (lib.attrValues images);
  machine =
    pkgs.runCommand "machine.json"
      {
        nativeBuildInputs = [ pkgs.jq ];
        static = builtins.toJSON static;
        passAsFile = [ "static" ];
      }
      ''
        jq --slurp '.[0].image.workloads = (.[1:] | add) | .[0]' "$staticPath" ${rows} > $out
      '';
in
{
  options.services.wamr-lab.node.machine = lib.mkOption {
    type = lib.types.raw;
    readOnly = true;
    default = static;
    defaultText = lib.literalExpression "machine.json without its images";
    description = "What wamr-lab is told about this machine.";
  };

  config = lib.mkIf cfg.enable {
    environment.etc."wamr-lab/machine.json".source = machine;
    environment.systemPackages = [
      packages.wamr-crun
      packages.wamr-lab
      packages.wamr-report
      pkgs.containerd
      pkgs.kubernetes
      pkgs.procps
    ];
    environment.variables.KUBECONFIG = "/etc/kubernetes/cluster-admin.kubeconfig";
    services.kubernetes.pki.etcClusterAdminKubeconfig = "kubernetes/cluster-admin.kubeconfig";
    virtualisation.containerd.settings.plugins."io.containerd.grpc.v1.cri".sandbox_image =
      reference "pause";

    # In a unit of its own: importing within the kubelet's start would count against its time-out.
    systemd.services.wamr-lab-images = {
      description = "Images of a wamr-lab node";
      wantedBy = [ "kubernetes.target" ];
      requires = [ "containerd.service" ];
      after = [ "containerd.service" ];
      before = [ "kubelet.service" ];
      path = [ pkgs.containerd ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = lib.concatMapStringsSep "\n" (
        image: "ctr --namespace k8s.io images import ${image}/image.tar"
      ) (lib.attrValues images);
    };
  };
}
