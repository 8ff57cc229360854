# A Kubernetes node of one machine: control plane, kubelet, a bridge for its pods, metrics-server
# and what `wamr-lab run --here` reads. The same choices as in lab/node/src for the other nodes.
{
  modules,
  packagesFor,
  tables,
}:
{ config, lib, ... }:
let
  cfg = config.services.wamr-lab.node;
  inherit (config.services) kubernetes;
  ipv4 = import ../ipv4.nix { inherit lib; };
  bridge = "lab0";
  # A name that only this machine resolves, to an address that it always has.
  apiName = "api.wamr-lab.internal";
  unthrottled = cfg.controlPlane == "unthrottled";
  fast = lib.optionalString unthrottled "--kube-api-qps=500 --kube-api-burst=1000";
in
{
  imports = [
    modules.handlers
    (import ./node-options.nix { inherit tables; })
    ./assertions.nix
    (import ./machine.nix { inherit packagesFor tables; })
    ./metrics-server.nix
    (import ./profile.nix { inherit tables; })
  ];

  config = lib.mkIf cfg.enable {
    services.wamr-lab.handlers = {
      enable = true;
      runtimes = cfg.runtimes;
      systemdCgroup = lib.mkDefault (cfg.cgroupDriver == "systemd");
    };

    services.kubernetes = {
      roles = [
        "master"
        "node"
      ];
      masterAddress = apiName;
      # NixOS' default is the address that is advertised, without a port.
      apiserverAddress = "https://${apiName}:${toString kubernetes.apiserver.securePort}";
      clusterCidr = cfg.podCidr;
      # What a density experiment does not use only moves memory.
      addons.dns.enable = false;
      flannel.enable = false;
      proxy.enable = false;
      apiserver = {
        advertiseAddress = cfg.address;
        allowPrivileged = true;
        serviceClusterIpRange = cfg.serviceCidr;
      };
      controllerManager = {
        # The bridge has its range; a /24 of it for each node need not exist.
        allocateNodeCIDRs = false;
        extraOpts = fast;
      };
      scheduler.extraOpts = fast;
      kubelet = {
        nodeIp = cfg.address;
        clusterDns = [ ];
        extraConfig = {
          inherit (cfg) cgroupDriver maxPods;
          podPidsLimit = -1;
          # Images are imported and must stay.
          imageGCHighThresholdPercent = 100;
          imageGCLowThresholdPercent = 99;
          # A rather full disk is no reason to evict.
          evictionHard = {
            "memory.available" = "100Mi";
            "nodefs.available" = "1%";
            "nodefs.inodesFree" = "1%";
            "imagefs.available" = "1%";
          };
        }
        // lib.optionalAttrs unthrottled {
          kubeAPIQPS = 200;
          kubeAPIBurst = 400;
          eventRecordQPS = 0;
          serializeImagePulls = false;
        };
        cni.config = [
          {
            cniVersion = "1.0.0";
            name = "lab";
            type = "bridge";
            inherit bridge;
            isGateway = true;
            ipMasq = false;
            hairpinMode = false;
            ipam = {
              type = "host-local";
              # Not on disk: leases must not outlive the machine's network.
              dataDir = "/run/cni/networks";
              ranges = [
                [
                  {
                    subnet = cfg.podCidr;
                    gateway = cfg.address;
                  }
                ]
              ];
              routes = [ { dst = "0.0.0.0/0"; } ];
            };
          }
        ];
      };
    };

    networking = {
      bridges.${bridge}.interfaces = [ ];
      interfaces.${bridge} = {
        # Fixed, or the bridge would take the lowest address of its ports and change with the pods.
        macAddress = "02:57:41:4d:52:01";
        ipv4.addresses = [
          {
            inherit (cfg) address;
            prefixLength = (ipv4.parse cfg.podCidr).prefixLength;
          }
        ];
      };
      extraHosts = "${cfg.address} ${apiName}";
      firewall.trustedInterfaces = [ bridge ];
      dhcpcd.denyInterfaces = [
        bridge
        "veth*"
      ];
    };

    boot.kernel.sysctl = {
      # The kubelet wants these and would set them itself.
      "vm.overcommit_memory" = 1;
      "vm.panic_on_oom" = 0;
      "kernel.panic" = 10;
      "kernel.panic_on_oops" = 1;
      "kernel.keys.root_maxkeys" = 1000000;
      "kernel.keys.root_maxbytes" = 25000000;
      # Some hundred pods: a shim watches files, a pod has entries of the neighbour table.
      "fs.inotify.max_user_instances" = 524288;
      "net.ipv4.neigh.default.gc_thresh3" = 8192;
      "kernel.pid_max" = 4194304;
    };
    boot.kernelModules = [ "br_netfilter" ];
  };
}
