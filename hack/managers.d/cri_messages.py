"""The messages of the CRI (runtime.v1) that the checks use, as protobuf classes, from a table of their fields."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message: field=number:type. Without a type a string; `*` is a list, `map` one of strings by string, an enumeration is an int32.
TABLE = """
VersionRequest: version=1
VersionResponse: version=1 runtime_name=2 runtime_version=3 runtime_api_version=4
StatusRequest: verbose=1:bool
StatusResponse: status=1:RuntimeStatus info=2:map
RuntimeStatus: conditions=1:*RuntimeCondition
RuntimeCondition: type=1 status=2:bool reason=3 message=4
Int64Value: value=1:int64
UInt64Value: value=1:uint64
KeyValue: key=1 value=2
DNSConfig: servers=1:*string searches=2:*string options=3:*string
PortMapping: protocol=1:int32 container_port=2:int32 host_port=3:int32 host_ip=4
Mount: container_path=1 host_path=2 readonly=3:bool selinux_relabel=4:bool propagation=5:int32
Device: container_path=1 host_path=2 permissions=3
NamespaceOption: network=1:int32 pid=2:int32 ipc=3:int32 target_id=4
SecurityProfile: profile_type=1:int32 localhost_ref=2
Capability: add_capabilities=1:*string drop_capabilities=2:*string
LinuxSandboxSecurityContext: namespace_options=1:NamespaceOption run_as_user=3:Int64Value readonly_rootfs=4:bool supplemental_groups=5:*int64 privileged=6:bool \
  run_as_group=8:Int64Value seccomp=9:SecurityProfile
LinuxContainerResources: cpu_period=1:int64 cpu_quota=2:int64 cpu_shares=3:int64 memory_limit_in_bytes=4:int64 oom_score_adj=5:int64 cpuset_cpus=6 cpuset_mems=7 \
  hugepage_limits=8:*HugepageLimit unified=9:map memory_swap_limit_in_bytes=10:int64
HugepageLimit: page_size=1 limit=2:uint64
LinuxPodSandboxConfig: cgroup_parent=1 security_context=2:LinuxSandboxSecurityContext sysctls=3:map
PodSandboxMetadata: name=1 uid=2 namespace=3 attempt=4:uint32
PodSandboxConfig: metadata=1:PodSandboxMetadata hostname=2 log_directory=3 dns_config=4:DNSConfig port_mappings=5:*PortMapping labels=6:map annotations=7:map \
  linux=8:LinuxPodSandboxConfig
RunPodSandboxRequest: config=1:PodSandboxConfig runtime_handler=2
RunPodSandboxResponse: pod_sandbox_id=1
StopPodSandboxRequest: pod_sandbox_id=1
StopPodSandboxResponse:
RemovePodSandboxRequest: pod_sandbox_id=1
RemovePodSandboxResponse:
PodSandboxStatusRequest: pod_sandbox_id=1 verbose=2:bool
PodIP: ip=1
PodSandboxNetworkStatus: ip=1 additional_ips=2:*PodIP
PodSandboxStatus: id=1 metadata=2:PodSandboxMetadata state=3:int32 created_at=4:int64 network=5:PodSandboxNetworkStatus labels=7:map annotations=8:map \
  runtime_handler=9
PodSandboxStatusResponse: status=1:PodSandboxStatus info=2:map
PodSandboxStateValue: state=1:int32
PodSandboxFilter: id=1 state=2:PodSandboxStateValue label_selector=3:map
ListPodSandboxRequest: filter=1:PodSandboxFilter
PodSandbox: id=1 metadata=2:PodSandboxMetadata state=3:int32 created_at=4:int64 labels=5:map annotations=6:map runtime_handler=7
ListPodSandboxResponse: items=1:*PodSandbox
ImageSpec: image=1
LinuxContainerSecurityContext: capabilities=1:Capability privileged=2:bool namespace_options=3:NamespaceOption run_as_user=5:Int64Value run_as_username=6 \
  readonly_rootfs=7:bool supplemental_groups=8:*int64 no_new_privs=11:bool run_as_group=12:Int64Value masked_paths=13:*string readonly_paths=14:*string \
  seccomp=15:SecurityProfile
LinuxContainerConfig: resources=1:LinuxContainerResources security_context=2:LinuxContainerSecurityContext
ContainerMetadata: name=1 attempt=2:uint32
ContainerConfig: metadata=1:ContainerMetadata image=2:ImageSpec command=3:*string args=4:*string working_dir=5 envs=6:*KeyValue mounts=7:*Mount devices=8:*Device \
  labels=9:map annotations=10:map log_path=11 stdin=12:bool stdin_once=13:bool tty=14:bool linux=15:LinuxContainerConfig
CreateContainerRequest: pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig
CreateContainerResponse: container_id=1
StartContainerRequest: container_id=1
StartContainerResponse:
StopContainerRequest: container_id=1 timeout=2:int64
StopContainerResponse:
RemoveContainerRequest: container_id=1
RemoveContainerResponse:
ContainerStateValue: state=1:int32
ContainerFilter: id=1 state=2:ContainerStateValue pod_sandbox_id=3 label_selector=4:map
ListContainersRequest: filter=1:ContainerFilter
Container: id=1 pod_sandbox_id=2 metadata=3:ContainerMetadata image=4:ImageSpec image_ref=5 state=6:int32 created_at=7:int64 labels=8:map annotations=9:map
ListContainersResponse: containers=1:*Container
ContainerStatusRequest: container_id=1 verbose=2:bool
ContainerStatus: id=1 metadata=2:ContainerMetadata state=3:int32 created_at=4:int64 started_at=5:int64 finished_at=6:int64 exit_code=7:int32 \
  image=8:ImageSpec image_ref=9 reason=10 message=11 labels=12:map annotations=13:map mounts=14:*Mount log_path=15
ContainerStatusResponse: status=1:ContainerStatus info=2:map
UpdateContainerResourcesRequest: container_id=1 linux=2:LinuxContainerResources
UpdateContainerResourcesResponse:
ReopenContainerLogRequest: container_id=1
ReopenContainerLogResponse:
ExecSyncRequest: container_id=1 cmd=2:*string timeout=3:int64
ExecSyncResponse: stdout=1:bytes stderr=2:bytes exit_code=3:int32
ExecRequest: container_id=1 cmd=2:*string tty=3:bool stdin=4:bool stdout=5:bool stderr=6:bool
ExecResponse: url=1
AttachRequest: container_id=1 stdin=2:bool tty=3:bool stdout=4:bool stderr=5:bool
AttachResponse: url=1
PortForwardRequest: pod_sandbox_id=1 port=2:*int32
PortForwardResponse: url=1
FilesystemUsage: timestamp=1:int64 used_bytes=3:UInt64Value inodes_used=4:UInt64Value
CpuUsage: timestamp=1:int64 usage_core_nano_seconds=2:UInt64Value
MemoryUsage: timestamp=1:int64 working_set_bytes=2:UInt64Value usage_bytes=4:UInt64Value rss_bytes=5:UInt64Value
NetworkInterfaceUsage: name=1 rx_bytes=2:UInt64Value tx_bytes=4:UInt64Value
NetworkUsage: timestamp=1:int64 default_interface=2:NetworkInterfaceUsage interfaces=3:*NetworkInterfaceUsage
ProcessUsage: timestamp=1:int64 process_count=2:UInt64Value
ContainerAttributes: id=1 metadata=2:ContainerMetadata
ContainerStats: attributes=1:ContainerAttributes cpu=2:CpuUsage memory=3:MemoryUsage writable_layer=4:FilesystemUsage
ContainerStatsRequest: container_id=1
ContainerStatsResponse: stats=1:ContainerStats
ContainerStatsFilter: id=1 pod_sandbox_id=2 label_selector=3:map
ListContainerStatsRequest: filter=1:ContainerStatsFilter
ListContainerStatsResponse: stats=1:*ContainerStats
PodSandboxAttributes: id=1 metadata=2:PodSandboxMetadata
LinuxPodSandboxStats: cpu=1:CpuUsage memory=2:MemoryUsage network=3:NetworkUsage process=4:ProcessUsage containers=5:*ContainerStats
PodSandboxStats: attributes=1:PodSandboxAttributes linux=2:LinuxPodSandboxStats
PodSandboxStatsRequest: pod_sandbox_id=1
PodSandboxStatsResponse: stats=1:PodSandboxStats
PodSandboxStatsFilter: id=1 label_selector=2:map
ListPodSandboxStatsRequest: filter=1:PodSandboxStatsFilter
ListPodSandboxStatsResponse: stats=1:*PodSandboxStats
ImageFilter: image=1:ImageSpec
Image: id=1 repo_tags=2:*string repo_digests=3:*string size=4:uint64 uid=5:Int64Value username=6
ListImagesRequest: filter=1:ImageFilter
ListImagesResponse: images=1:*Image
ImageStatusRequest: image=1:ImageSpec verbose=2:bool
ImageStatusResponse: image=1:Image info=2:map
RemoveImageRequest: image=1:ImageSpec
RemoveImageResponse:
ImageFsInfoRequest:
ImageFsInfoResponse: image_filesystems=1:*FilesystemUsage
"""

# What the enumerations of states and of namespaces are called.
READY, NOTREADY = range(2)
CREATED, RUNNING, EXITED, UNKNOWN = range(4)
POD, CONTAINER, NODE, TARGET = range(4)
PRIVATE, HOST_TO_CONTAINER, BIDIRECTIONAL = range(3)
RUNTIME_DEFAULT, UNCONFINED, LOCALHOST = range(3)

PACKAGE = "runtime.v1"
Field = descriptor_pb2.FieldDescriptorProto


def add_field(message, name, number, kind):
    field = message.field.add(name=name, number=number, label=Field.LABEL_OPTIONAL)
    if kind == "map":
        # As protoc makes them: a list of a nested message of key and value.
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        add_field(entry, "key", 1, "string")
        add_field(entry, "value", 2, "string")
        entry.options.map_entry = True
        kind = f"*{message.name}.{entry.name}"
    if kind.startswith("*"):
        field.label, kind = Field.LABEL_REPEATED, kind[1:]
    if kind[0].islower():
        field.type = getattr(Field, "TYPE_" + kind.upper())
    else:
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"


def classes():
    file = descriptor_pb2.FileDescriptorProto(name="cri.proto", package=PACKAGE, syntax="proto3")
    for line in TABLE.strip().splitlines():
        name, _, fields = line.partition(":")
        message = file.message_type.add(name=name)
        for text in fields.split():
            field, _, rest = text.partition("=")
            number, _, kind = rest.partition(":")
            add_field(message, field, int(number), kind or "string")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{message.name}")) for message in file.message_type}


MESSAGES = classes()


def stub(channel, method):
    """A call of a method of one of the two services."""
    service = "ImageService" if "Image" in method else "RuntimeService"
    return channel.unary_unary(f"/{PACKAGE}.{service}/{method}", request_serializer=MESSAGES[method + "Request"].SerializeToString,
                               response_deserializer=MESSAGES[method + "Response"].FromString)
