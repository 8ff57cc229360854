# containerd handlers and RuntimeClasses, from lab/runtimes.toml.
{ packagesFor, tables, ... }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.wamr-lab.handlers;
  isAbsent = name: tables.runtimes.${name} ? absent;
  rows = lib.getAttrs (lib.filter (name: !isAbsent name) cfg.runtimes) tables.runtimes;
  # As numbers: a patch release of the newest is no newer.
  isTooOldFor =
    version: name:
    rows.${name} ? containerd_newest
    && builtins.compareVersions version "${rows.${name}.containerd_newest}.999" > 0;
  names = lib.attrNames rows;
  packages = packagesFor pkgs;
  wasmedge = lib.getLib pkgs.wasmedge;

  # Where the rows' programs are: from this flake and nixpkgs, unless the machine says otherwise.
  known = {
    "dist:wamr-crun" = "${packages.wamr-crun}/bin/wamr-crun";
    "dist:wamr-runner" = "${packages.wamr-crun}/libexec/wamr-crun/wamr-runner";
    "dist:wasmtime-runner" = "${packages.wamr-crun}/libexec/wamr-crun/wasmtime-runner";
    "dist:wamr-compile" = "${packages.wamr-crun}/libexec/wamr-crun/wamr-compile";
    # Beside wamr-crun, where it looks for it.
    "dist:containerd-shim-wamr-crun-v1" = "${packages.wamr-crun}/bin/containerd-shim-wamr-crun-v1";
    "/usr/local/bin/runc" = "${packages.runc}/bin/runc";
    "/usr/bin/crun" = "${packages.crun-wasmedge}/bin/crun-wasmedge";
    "/usr/lib/x86_64-linux-gnu/libwasmedge.so.0" = "${wasmedge}/lib/libwasmedge.so.0";
  }
  // lib.listToAttrs (
    lib.concatMap (
      peer:
      map (file: lib.nameValuePair "peer:${file}" "${packages.${peer}}/${file}") (
        tables.peers.${peer}.files
      )
    ) (lib.filter (peer: packages ? ${peer}) (lib.attrNames tables.peers))
  );
  programs = row: [ row.binary ] ++ row.extra_programs or [ ];
  missing = lib.concatMap (
    name:
    map (program: { inherit name program; }) (
      lib.filter (program: !cfg.programs ? ${program}) (programs rows.${name})
    )
  ) names;
  located = lib.mapAttrs (
    _: row:
    row
    // {
      binary = cfg.programs.${row.binary};
      extra_programs = map (program: cfg.programs.${program}) (row.extra_programs or [ ]);
    }
  ) rows;

  # `io.containerd.NAME.vN` of `containerd-shim-NAME-vN`.
  # Source: containerd core/runtime/v2/README.md, "Runtime binary naming".
  shimType =
    row:
    let
      parts = builtins.match "containerd-shim-(.*)-(v[0-9]+)" (baseNameOf row.binary);
    in
    if parts == null then
      throw "${row.binary} is not the name of a shim, containerd-shim-NAME-vN"
    else
      lib.concatStringsSep "." ([ "io.containerd" ] ++ parts);
  # In containerd's patterns '*' stops at a '/', which most annotations have one of.
  every = [
    "*"
    "*/*"
  ];
  handler =
    name: row:
    {
      pod_annotations = every;
      container_annotations = every;
    }
    // (
      if row.kind == "shim" then
        {
          runtime_type = shimType row;
          runtime_path = row.binary;
        }
      else
        {
          runtime_type = "io.containerd.runc.v2";
          options = {
            BinaryName = row.binary;
            SystemdCgroup = cfg.systemdCgroup;
          };
        }
    )
    // lib.optionalAttrs (annotated ? ${name}) { base_runtime_spec = "/etc/${baseFile name}"; };
  byHandler = lib.mapAttrs' (_: row: lib.nameValuePair row.handler row) located;
  # What the handler does: rows that share one must agree in it.
  essence = row: [
    row.binary
    (row.container_annotations or { })
  ];
  clashes = lib.filter (
    name: essence located.${name} != essence byHandler.${rows.${name}.handler}
  ) names;
  # containerd makes a sandbox without its handler's base, and passes on a pod's annotations to
  # both: what only the containers are to have is in a base of their own.
  annotated = lib.filterAttrs (_: row: row.container_annotations or { } != { }) byHandler;
  baseFile = name: "wamr-lab/base-${name}.json";
  baseSpec = lib.importJSON ../../lab/node/src/base_spec.json;
  classOf = name: {
    apiVersion = "node.k8s.io/v1";
    kind = "RuntimeClass";
    metadata.name = name;
    handler = name;
  };
in
{
  options.services.wamr-lab.handlers = {
    enable = lib.mkEnableOption "the runtimes of lab/runtimes.toml as handlers of containerd";
    runtimes = mkOption {
      type = types.listOf (types.enum (lib.attrNames tables.runtimes));
      default = [ "wamr-crun" ];
      example = [
        "wamr-crun"
        "wamr-shim"
      ];
      description = ''
        Rows of lab/runtimes.toml. Each gets a handler and a RuntimeClass. `wamr-shim` is the
        handler `wamr`: wamr-crun behind containerd-shim-wamr-crun-v1, one process of which serves
        up to 128 pods.
      '';
    };
    programs = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example = lib.literalExpression ''{ "dist:wamr-crun" = "/opt/bin/wamr-crun"; }'';
      description = ''
        Paths of programs, by their notation in the table. Those of this flake and of nixpkgs
        are already known.
      '';
    };
    systemdCgroup = mkOption {
      type = types.bool;
      default = true;
      description = "Whether systemd creates the control groups. The kubelet must agree.";
    };
    table = mkOption {
      type = types.raw;
      readOnly = true;
      default = located;
      defaultText = lib.literalExpression "the rows, with the paths of this machine";
      description = "The rows that are installed.";
    };
    runtimeClasses = mkOption {
      type = types.raw;
      readOnly = true;
      default = lib.mapAttrs (name: _: classOf name) byHandler;
      defaultText = lib.literalExpression "a RuntimeClass per handler, named like it";
      description = "The manifests, by handler. An addon manager on this machine applies them.";
    };
  };

  config = lib.mkMerge [
    { services.wamr-lab.handlers.programs = lib.mapAttrs (_: lib.mkDefault) known; }
    (lib.mkIf cfg.enable {
      assertions =
        map (name: {
          assertion = false;
          message =
            "services.wamr-lab.handlers.runtimes: ${name} cannot be had:"
            + " ${tables.runtimes.${name}.absent}. Leave it out.";
        }) (lib.filter isAbsent cfg.runtimes)
        ++ map (name: {
          assertion = false;
          message =
            "services.wamr-lab.handlers.runtimes: ${name} starts under containerd up to"
            + " ${rows.${name}.containerd_newest}, and this machine has ${pkgs.containerd.version}."
            + " Leave it out.";
        }) (lib.filter (isTooOldFor pkgs.containerd.version) names)
        ++ map (lack: {
          assertion = false;
          message =
            "services.wamr-lab.handlers.runtimes: ${lack.name} needs ${lack.program}, which this"
            + " flake has no package for. Say where it is:"
            + " services.wamr-lab.handlers.programs.\"${lack.program}\" = \"/path\";";
        }) missing
        ++ lib.optionals (missing == [ ]) (
          map (name: {
            assertion = false;
            message =
              "services.wamr-lab.handlers: ${name} gives the handler ${rows.${name}.handler}"
              + " another program, or other container_annotations, than another row does. A"
              + " handler is the same for all of them.";
          }) clashes
        );

      virtualisation.containerd = {
        enable = true;
        # The NixOS module writes version 2, which containerd 2 takes over by itself.
        settings.plugins."io.containerd.grpc.v1.cri".containerd.runtimes = lib.mkMerge [
          (lib.mapAttrs handler byHandler)
          # NixOS has this one on every node, and the kubelet asks containerd for its driver.
          {
            runc = {
              runtime_type = lib.mkDefault "io.containerd.runc.v2";
              options.SystemdCgroup = cfg.systemdCgroup;
            };
          }
        ];
      };
      environment.etc = {
        "wamr-lab/runtimeclasses.json".text = builtins.toJSON {
          apiVersion = "v1";
          kind = "List";
          items = lib.attrValues cfg.runtimeClasses;
        };
      }
      // lib.mapAttrs' (
        name: row:
        lib.nameValuePair (baseFile name) {
          text = builtins.toJSON (baseSpec // { annotations = row.container_annotations; });
        }
      ) annotated;
      services.kubernetes.addonManager = lib.mkIf config.services.kubernetes.addonManager.enable {
        bootstrapAddons = lib.mapAttrs' (
          name: lib.nameValuePair "wamr-lab-runtimeclass-${name}"
        ) cfg.runtimeClasses;
      };
    })
  ];
}
