// CDI, the Container Device Interface: RUN --device=NAME, by the specification files of the machine (cncf-tags
// container-device-interface SPEC.md). A step has no rights over the machine, so of what a device asks for it gets what
// needs none: its nodes and mounts as bind mounts, its variables. Hooks and ids are left out, and said so.
//
//   vendor.com/class=name    one device         vendor.com/class    the first one of a kind
//   vendor.com/class=*       all of a kind      word                all whose annotation gives that class
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "build/build.hpp"
#include "sandbox/sandbox.hpp"

namespace slipway::build {

/// The value of one --device flag.
struct DeviceRequest {
  std::string name;
  bool required = false;
  /// Errors in BuildKit's words: "invalid field 'x' must be a key=value pair", "unexpected key 'k' in 'k=v'", ….
  static Result<DeviceRequest> parse(std::string_view text);
};

struct DeviceEdits {
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<sandbox::HostMount> mounts;  ///< device nodes and mounts
  std::vector<std::string> left_out;       ///< one clause each: what a step does not get
};

struct CdiDevice {
  std::string name;                                ///< "vendor.com/class=name"
  std::map<std::string, std::string> annotations;  ///< of the file, then of the device
  DeviceEdits edits;                               ///< of the file and of the device
};

/// The devices of one specification. Errors name the member that is wrong.
[[nodiscard]] Result<std::vector<CdiDevice>> parse_cdi(std::string_view json);

class CdiRegistry {
 public:
  /// Reads *.json, *.yaml and *.yml of the directories. A later directory's device hides an earlier one's of its name;
  /// in one directory a name given twice is no device. A file that can not be read is remembered for errors.
  static CdiRegistry load(const std::vector<std::string>& directories);

  /// The devices that `wanted` name, sorted, each once. One that is not there is skipped, or, where it is required,
  /// kNotFound; one that `granted` does not cover is kPermissionDenied; both in BuildKit's words.
  [[nodiscard]] Result<std::vector<const CdiDevice*>> allowed(const std::vector<DeviceRequest>& wanted,
                                                              const Entitlements& granted) const;

 private:
  [[nodiscard]] Result<std::vector<const CdiDevice*>> find(const DeviceRequest& wanted) const;
  void add_file(const std::string& path, std::map<std::string, CdiDevice>& found, std::map<std::string, int>& times);
  std::map<std::string, CdiDevice> devices_;
  std::vector<std::string> problems_;
};

}  // namespace slipway::build
