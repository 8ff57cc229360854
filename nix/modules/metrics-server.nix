# metrics-server as a process of the machine, behind the API server's aggregation layer. No pod of
# its own: its memory is a daemon's, and no image has to be fetched.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.wamr-lab.node;
  kubernetes = config.services.kubernetes;
  inherit (cfg.metricsServer) package;
  name = "metrics-server";
  namespace = "kube-system";
  port = 4443;
  client = kubernetes.pki.certs.wamrLabMetricsServer;
  kubeconfig = kubernetes.lib.mkKubeConfig name {
    server = kubernetes.apiserverAddress;
    certFile = client.cert;
    keyFile = client.key;
    caFile = kubernetes.caFile;
  };
  flags = {
    secure-port = toString port;
    kubeconfig = "${kubeconfig}";
    authentication-kubeconfig = "${kubeconfig}";
    authorization-kubeconfig = "${kubeconfig}";
    cert-dir = "/run/${name}";
    kubelet-certificate-authority = toString kubernetes.caFile;
    # By name: NixOS' certificate of the kubelet has no address, and its /etc/hosts has the name.
    kubelet-preferred-address-types = "Hostname";
    metric-resolution = "${toString cfg.metricsServer.resolutionSeconds}s";
  }
  // lib.optionalAttrs (lib.versionAtLeast package.version "0.7") {
    # Must stay below the resolution. Older ones take nine tenths of that.
    kubelet-request-timeout = "5s";
  };
  group = "rbac.authorization.k8s.io";
  subjects = [
    {
      apiGroup = group;
      kind = "User";
      inherit name;
    }
  ];
  binding = kind: metadata: role: roleKind: {
    apiVersion = "${group}/v1";
    inherit kind metadata subjects;
    roleRef = {
      apiGroup = group;
      kind = roleKind;
      name = role;
    };
  };
  rule = groups: resources: verbs: {
    apiGroups = groups;
    inherit resources verbs;
  };
  objects = {
    role = {
      apiVersion = "${group}/v1";
      kind = "ClusterRole";
      metadata.name = "system:metrics-server";
      rules = [
        (rule [ "" ] [ "nodes/metrics" ] [ "get" ])
        (rule [ "" ] [ "nodes" "pods" ] [ "get" "list" "watch" ])
      ];
    };
    reads = binding "ClusterRoleBinding" {
      name = "system:metrics-server";
    } "system:metrics-server" "ClusterRole";
    delegates = binding "ClusterRoleBinding" {
      name = "metrics-server:system:auth-delegator";
    } "system:auth-delegator" "ClusterRole";
    authenticates = binding "RoleBinding" {
      name = "metrics-server-auth-reader";
      inherit namespace;
    } "extension-apiserver-authentication-reader" "Role";
    service = {
      apiVersion = "v1";
      kind = "Service";
      metadata = { inherit name namespace; };
      spec.ports = [
        {
          name = "https";
          port = 443;
          targetPort = port;
        }
      ];
    };
    # A Service without a selector: the endpoint is written by hand.
    endpoint = {
      apiVersion = "discovery.k8s.io/v1";
      kind = "EndpointSlice";
      metadata = {
        inherit name namespace;
        labels."kubernetes.io/service-name" = name;
      };
      addressType = "IPv4";
      ports = [
        {
          name = "https";
          inherit port;
          protocol = "TCP";
        }
      ];
      endpoints = [
        {
          addresses = [ cfg.address ];
          conditions.ready = true;
        }
      ];
    };
    api = {
      apiVersion = "apiregistration.k8s.io/v1";
      kind = "APIService";
      metadata.name = "v1beta1.metrics.k8s.io";
      spec = {
        group = "metrics.k8s.io";
        version = "v1beta1";
        groupPriorityMinimum = 100;
        versionPriority = 100;
        service = { inherit name namespace; };
        # It makes its certificate when it starts, and the way to it never leaves the machine.
        insecureSkipTLSVerify = true;
      };
    };
  };
in
{
  config = lib.mkIf (cfg.enable && cfg.metricsServer.enable) {
    services.kubernetes = {
      pki.certs.wamrLabMetricsServer = kubernetes.lib.mkCert {
        inherit name;
        CN = name;
        action = "systemctl restart ${name}.service";
      };
      # The NixOS module has the client's certificate of the aggregation layer, and no option for
      # what the other side checks. Without kube-proxy a Service leads nowhere; its endpoints do.
      apiserver.extraOpts = lib.concatStringsSep " " [
        "--requestheader-client-ca-file=${toString kubernetes.caFile}"
        "--requestheader-allowed-names=front-proxy-client"
        "--requestheader-username-headers=X-Remote-User"
        "--requestheader-group-headers=X-Remote-Group"
        "--requestheader-extra-headers-prefix=X-Remote-Extra-"
        "--enable-aggregator-routing=true"
      ];
      addonManager.bootstrapAddons = lib.mapAttrs' (
        part: lib.nameValuePair "wamr-lab-${name}-${part}"
      ) objects;
    };
    systemd.services.${name} = {
      description = "metrics-server of a wamr-lab node";
      wantedBy = [ "kubernetes.target" ];
      after = [ "kube-apiserver.service" ];
      # Until there are certificates it ends as often as it is started.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        Slice = "kubernetes.slice";
        ExecStart = lib.concatStringsSep " " (
          [ "${package}/bin/metrics-server" ]
          # Sorted by name.
          ++ lib.mapAttrsToList (flag: value: "--${flag}=${value}") flags
        );
        RuntimeDirectory = name;
        Restart = "on-failure";
        RestartSec = "2s";
      };
    };
  };
}
