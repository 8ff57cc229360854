# What the modules render for a node of the lab in namespaces: `nix-instantiate --eval --strict
# --json`. The settings below are those that any NixOS machine of that kind would need, made
# through NixOS' own options: other paths, no systemd, cgroup v1, a root without CAP_SYS_RESOURCE.
let
  pki = "/etc/wamr-lab/pki";
  programs = "/usr/local/bin";
  machine = import ./machine.nix { inherit configuration; };
  configuration = {
    networking.hostName = "lab";
    services.wamr-lab.node = {
      enable = true;
      cgroupDriver = "cgroupfs";
    };
    services.wamr-lab.handlers.programs = {
      "dist:wamr-crun" = "${programs}/wamr-crun";
      "dist:wamr-runner" = "${programs}/wamr-runner";
      "/usr/local/bin/runc" = "${programs}/runc";
      "/usr/bin/crun" = "/usr/bin/crun";
    };
    services.kubernetes.kubelet = {
      clientCaFile = "${pki}/ca.crt";
      tlsCertFile = "${pki}/kubelet-server.crt";
      tlsKeyFile = "${pki}/kubelet-server.key";
      extraConfig = {
        cgroupRoot = "/";
        failCgroupV1 = false;
        failSwapOn = false;
        makeIPTablesUtilChains = false;
        oomScoreAdj = 0;
        protectKernelDefaults = true;
        resolvConf = "/etc/resolv.conf";
      };
    };
    virtualisation.containerd.settings.plugins."io.containerd.grpc.v1.cri" = {
      restrict_oom_score_adj = true;
      cni.bin_dir = "/opt/cni/bin";
      cni.conf_dir = "/etc/cni/net.d";
    };
  };
  inherit (import ./outputs.nix) nixpkgs;
  inherit (nixpkgs) lib;
  inherit (machine) config;
  kubelet = config.services.kubernetes.kubelet;
in
{
  "containerd.toml" = import ./toml.nix { inherit lib; } config.virtualisation.containerd.settings;
  # As nixos/modules/services/cluster/kubernetes/kubelet.nix does: extraConfig goes over the rest.
  "kubelet.json" = builtins.toJSON (
    {
      apiVersion = "kubelet.config.k8s.io/v1beta1";
      kind = "KubeletConfiguration";
      address = "0.0.0.0";
      port = 10250;
      authentication = {
        x509.clientCAFile = kubelet.clientCaFile;
        webhook = {
          enabled = true;
          cacheTTL = "10s";
        };
      };
      authorization.mode = "Webhook";
      cgroupDriver = "systemd";
      hairpinMode = "hairpin-veth";
      registerNode = true;
      containerRuntimeEndpoint = "unix:///run/containerd/containerd.sock";
      healthzPort = 10248;
      healthzBindAddress = "127.0.0.1";
      tlsCertFile = kubelet.tlsCertFile;
      tlsPrivateKeyFile = kubelet.tlsKeyFile;
      clusterDomain = "cluster.local";
    }
    // kubelet.extraConfig
  );
  "runtimeclasses.json" = config.environment.etc."wamr-lab/runtimeclasses.json".text;
  # The same names as NixOS gives them.
  cni = lib.listToAttrs (
    lib.genList (
      index:
      let
        entry = lib.elemAt kubelet.cni.config index;
      in
      lib.nameValuePair "${toString (11 + index)}-${entry.type}.conf" (builtins.toJSON entry)
    ) (lib.length kubelet.cni.config)
  );
  # For the reader of /etc/wamr-lab/machine.json.
  machine = config.services.wamr-lab.node.machine;
}
