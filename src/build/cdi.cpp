#include "build/cdi.hpp"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "build/yaml.hpp"
#include "dockerfile/flags.hpp"
#include "oci/json.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::int64_t kFileLimit = 4 << 20;
constexpr std::string_view kClass = "org.mobyproject.buildkit.device.class";
constexpr std::string_view kAutoAllow = "org.mobyproject.buildkit.device.autoallow";

using oci::Json;

template <class... T>
std::unexpected<Error> wrong(fmt::format_string<T...> format, T&&... arguments) {
  return fail(Code::kInvalidArgument, format, std::forward<T>(arguments)...);
}

/// SPEC.md: letters, digits and some signs, so that a name is a word wherever it is shown or compared.
bool is_name(std::string_view text, std::string_view signs) {
  return !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [&](unsigned char c) {
    return std::isalnum(c) != 0 || signs.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool is_kind(std::string_view kind) {
  const auto slash = kind.find('/');
  return slash != std::string_view::npos && is_name(kind.substr(0, slash), "_-.") &&
         is_name(kind.substr(slash + 1), "_-.");
}

/// What comes before and after the first '='.
std::pair<std::string, std::string> cut(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<std::string> absolute_path(const Json& object, std::string_view name) {
  std::string path = TRY(object.string(name));
  if (!path.empty() && (path[0] != '/' || path.size() > 4000 || path.find('\0') != std::string::npos))
    return wrong("{}.{} is no absolute path", object.path(), name);
  return path;
}

Status add_node(const Json& node, DeviceEdits& edits) {
  const std::string path = TRY(absolute_path(node, "path")), host = TRY(absolute_path(node, "hostPath"));
  if (path.empty()) return wrong("{} has no path", node.path());
  edits.mounts.push_back({.path = host.empty() ? path : host, .target = path, .device = true, .read_only = false});
  return {};
}

Status add_mount(const Json& mount, DeviceEdits& edits) {
  const std::string host = TRY(absolute_path(mount, "hostPath")), inside = TRY(absolute_path(mount, "containerPath"));
  if (host.empty() || inside.empty()) return wrong("{} needs hostPath and containerPath", mount.path());
  bool read_only = false;
  const auto options = TRY(mount.list("options"));
  for (const Json option : options) read_only = read_only || TRY(option.as_string()) == "ro";
  edits.mounts.push_back({.path = host, .target = inside, .device = false, .read_only = read_only});
  return {};
}

Status add_edits(const Json& holder, DeviceEdits& edits) {
  const auto found = holder.find("containerEdits");
  if (!found) return {};
  TRY(found->require_object());
  const auto environment = TRY(found->list("env"));
  for (const Json entry : environment) {
    auto [name, value] = cut(TRY(entry.as_string()));
    if (name.empty() || value.find('\0') != std::string::npos) return wrong("{} is no NAME=VALUE", entry.path());
    edits.environment.emplace_back(std::move(name), std::move(value));
  }
  const auto nodes = TRY(found->list("deviceNodes"));
  for (const Json node : nodes) TRY(add_node(node, edits));
  const auto mounts = TRY(found->list("mounts"));
  for (const Json mount : mounts) TRY(add_mount(mount, edits));
  const auto leave_out = [&](std::string_view name, std::string_view why) -> Status {
    const auto list = TRY(found->list(name));
    if (!list.empty()) edits.left_out.emplace_back(why);
    return {};
  };
  TRY(leave_out("hooks", "its hooks are not run: they would act on the machine, where a step has no rights"));
  return leave_out("additionalGids",
                   "its additional groups are left out: groups of the machine mean nothing in a step");
}

Status add_annotations(const Json& holder, std::map<std::string, std::string>& annotations) {
  const auto members = TRY(holder.map("annotations"));
  for (const Json member : members) annotations[std::string(member.key())] = TRY(member.as_string());
  return {};
}

}  // namespace

Result<DeviceRequest> DeviceRequest::parse(std::string_view text) {
  DeviceRequest out;
  const auto fields = csv_fields(text);
  if (!fields) return wrong("failed to parse csv devices: {}", fields.error().what());
  for (const auto& field : *fields) {
    const auto [raw, value] = cut(field);
    const std::string key = lower(raw);
    const bool pair = field.find('=') != std::string::npos;
    if (!pair && key == "required") {
      out.required = true;
    } else if (pair && key == "name") {
      if (!out.name.empty()) return wrong("device name already set to {}", printable(out.name, 256));
      out.name = value;
    } else if (pair && key == "required") {
      if (value != "true" && value != "false" && value != "1" && value != "0")
        return wrong("invalid value for {}: {}", key, printable(value, 128));
      out.required = value == "true" || value == "1";
    } else if (out.name.empty()) {
      out.name = field;
    } else if (!pair) {
      return wrong("invalid field '{}' must be a key=value pair", printable(field, 128));
    } else {
      return wrong("unexpected key '{}' in '{}'{}", printable(key, 128), printable(field, 256),
                   dockerfile::did_you_mean(key, {"name", "required"}));
    }
  }
  return out;
}

Result<std::vector<CdiDevice>> parse_cdi(std::string_view json) {
  const Json document =
      TRY(Json::parse(json, {.bytes = static_cast<std::size_t>(kFileLimit), .depth = 32, .values = 1 << 16}));
  TRY(document.require_object());
  if (TRY(document.need_string("cdiVersion")).empty()) return wrong("cdiVersion is empty");
  const std::string kind(TRY(document.need_string("kind")));
  if (!is_kind(kind)) return wrong("kind is {}, which is no VENDOR/CLASS", quoted(kind, 128));
  CdiDevice common;
  TRY(add_annotations(document, common.annotations));
  TRY(add_edits(document, common.edits));
  std::vector<CdiDevice> out;
  const auto devices = TRY(document.list("devices"));
  for (const Json device : devices) {
    CdiDevice one = common;
    const std::string name(TRY(device.need_string("name")));
    if (!is_name(name, "_-.:")) return wrong("{}.name is {}, which is no name", device.path(), quoted(name, 128));
    one.name = kind + "=" + name;
    TRY(add_annotations(device, one.annotations));
    TRY(add_edits(device, one.edits));
    out.push_back(std::move(one));
  }
  return out;
}

void CdiRegistry::add_file(const std::string& path, std::map<std::string, CdiDevice>& found,
                           std::map<std::string, int>& times) {
  const auto read = [&]() -> Result<std::vector<CdiDevice>> {
    std::string text = TRY(sys::read_file(path, kFileLimit));
    if (!path.ends_with(".json")) text = TRY(json_of_yaml(text));
    return parse_cdi(text);
  };
  auto devices = read();
  if (!devices) {
    problems_.push_back(fmt::format("{}: {}", printable(path, 300), devices.error().what()));
    return;
  }
  for (auto& device : *devices) {
    if (++times[device.name] == 2)
      problems_.push_back(fmt::format("{} names {} again", printable(path, 300), device.name));
    found[device.name] = std::move(device);
  }
}

CdiRegistry CdiRegistry::load(const std::vector<std::string>& directories) {
  CdiRegistry out;
  for (const auto& directory : directories) {
    const auto opened = sys::open(directory, O_RDONLY | O_DIRECTORY);
    if (!opened) continue;  // most machines have none
    auto names = sys::list_directory(opened->get(), directory);
    if (!names) continue;
    std::ranges::sort(*names);
    std::map<std::string, CdiDevice> found;
    std::map<std::string, int> times;
    for (const auto& name : *names)
      if (name.ends_with(".json") || name.ends_with(".yaml") || name.ends_with(".yml"))
        out.add_file(directory + "/" + name, found, times);
    for (auto& [name, device] : found) {
      if (times[name] > 1)
        out.devices_.erase(name);
      else
        out.devices_[name] = std::move(device);
    }
  }
  return out;
}

Result<std::vector<const CdiDevice*>> CdiRegistry::find(const DeviceRequest& wanted) const {
  std::vector<const CdiDevice*> out;
  const auto [kind, name] = cut(wanted.name);
  if (is_kind(kind)) {
    for (const auto& [full, device] : devices_) {
      if (!full.starts_with(kind + "=")) continue;
      if (name == "*" || name.empty() || full == wanted.name) out.push_back(&device);
      if (name.empty()) break;
    }
  }
  if (out.empty()) {
    for (const auto& [full, device] : devices_) {
      const auto given = device.annotations.find(std::string(kClass));
      if (given != device.annotations.end() && given->second == wanted.name) out.push_back(&device);
    }
  }
  if (!out.empty() || !wanted.required) return out;
  Error error(Code::kNotFound, fmt::format("required device {} is not registered", quoted(wanted.name, 256)));
  if (!problems_.empty()) error.with_hint("a specification that can not be used: " + problems_.front());
  return std::unexpected(std::move(error));
}

Result<std::vector<const CdiDevice*>> CdiRegistry::allowed(const std::vector<DeviceRequest>& wanted,
                                                           const Entitlements& granted) const {
  const auto by_name = [](const CdiDevice* a, const CdiDevice* b) { return a->name < b->name; };
  std::set<const CdiDevice*, decltype(by_name)> out(by_name), named(by_name);
  for (const auto& request : wanted) {
    const auto alias = granted.devices.find(request.name);
    const bool aliased = alias != granted.devices.end() && !alias->second.empty();
    for (const auto* device : TRY(find({aliased ? alias->second : request.name, request.required})))
      (aliased ? out : named).insert(device);
  }
  std::set<const CdiDevice*> covered;
  if (!granted.all_devices && !named.empty())
    for (const auto& [name, alias] : granted.devices)
      for (const auto* device : TRY(find({name, false}))) covered.insert(device);
  std::vector<std::string> forbidden;
  for (const auto* device : named) {
    const auto given = device->annotations.find(std::string(kAutoAllow));
    const bool free = given != device->annotations.end() && (given->second == "true" || given->second == "1");
    if (granted.all_devices || free || covered.contains(device))
      out.insert(device);
    else
      forbidden.push_back(device->name);
  }
  if (forbidden.empty()) return std::vector<const CdiDevice*>(out.begin(), out.end());
  return std::unexpected(
      Error(Code::kPermissionDenied,
            fmt::format("{} requested by the build but not allowed",
                        forbidden.size() == 1 ? fmt::format("device {} is", forbidden[0])
                                              : fmt::format("devices {} are", join(forbidden, ", "))))
          .with_hint(fmt::format("allow it with --allow device={}", forbidden[0])));
}

}  // namespace slipway::build
