// The rung "overlay": a user namespace and an overlay of the store's directories.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "init/orders.hpp"
#include "network/supply.hpp"
#include "sandbox/pids_cgroup.hpp"
#include "sandbox/sandbox.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "sys/lock.hpp"

namespace slipway::sandbox {

class OverlayRung final : public Rung {
 public:
  /// Makes the user namespace and proves the rung by mounting an overlay on the file system of `root` and writing into
  /// it. An Error names the knob.
  static Result<std::unique_ptr<OverlayRung>> make(const std::string& root, bool reach_host);

  [[nodiscard]] std::string name() const override { return "overlay"; }
  [[nodiscard]] Result<sys::ExitStatus> run(const Spec& spec, const Output& output, const Cancel& cancel) override;

  /// As Sandbox::emulation().
  [[nodiscard]] Result<Emulation> emulation(std::string_view architecture, const Cancel& cancel);

  /// "overlay (user namespace 0..65535 → 1879048192, id-mapped layers)".
  [[nodiscard]] std::string description() const;
  [[nodiscard]] network::Supply& networks() { return *networks_; }

 private:
  OverlayRung() = default;
  Status make_user_namespace();
  Status make_stub_layer();
  Status prove();
  Result<network::Uplink> connect(const network::HelperCommand& command) const;
  Result<std::vector<PidsGroup>> make_groups(const Spec& spec) const;

  std::string root_;
  sys::Fd program_;
  sys::Fd user_namespace_;
  /// Holds the lowest layer of every step's root: mount points that an image may lack (/proc, /etc/hosts …). Made once:
  /// making and removing them in each upper directory would cost more than all the rest of a short step on ext4.
  std::optional<sys::TempDir> own_;
  std::optional<sys::FileLock> lock_;
  bool id_mapped_ = false;
  std::vector<init::IdMap> uid_map_, gid_map_;
  bool cgroup_mount_ = false;
  PidsParent pids_;
  std::unique_ptr<network::Supply> networks_;
};

}  // namespace slipway::sandbox
