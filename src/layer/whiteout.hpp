// Whiteouts: how "this name of a lower layer is gone" is written in an archive (image-spec layer.md "Whiteouts") and on
// disk (overlayfs with `userxattr`), and our own records of what can not be had: devices and owners.
#pragma once

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>
#include <string_view>

namespace slipway::layer {

inline constexpr std::string_view kWhiteoutPrefix = ".wh.";
inline constexpr std::string_view kOpaqueName = ".wh..wh..opq";
/// AUFS's own files (".wh..wh.plnk", ".wh..wh.aufs" …) in old images: no content of the image, skipped as docker does.
inline constexpr std::string_view kAufsPrefix = ".wh..wh.";

inline const std::string kOpaqueXattr = "user.overlay.opaque";
inline const std::string kRedirectXattr = "user.overlay.redirect";
inline const std::string kMetacopyXattr = "user.overlay.metacopy";

/// On an empty regular file of root's of mode 0: the device it stands for, "c:MAJOR:MINOR:MODE:UID:GID" or "b:…" (the
/// mode octal; without the last two it is root's). Written where mknod(2) is refused (a user namespace), read back as the device whenever a layer is written.
inline const std::string kDeviceXattr = "user.slipway.device";

/// The owner that a file should have where there is one id only (owner.hpp).
inline const std::string kOwnerXattr = "user.slipway.owner";

/// Whether overlayfs takes this file for a whiteout: a character device 0:0.
[[nodiscard]] inline bool is_whiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

/// Attributes that are control data of overlayfs or of ours: never taken from an archive, never written to one.
[[nodiscard]] inline bool is_control_xattr(std::string_view name) {
  return name.starts_with("user.overlay.") || name.starts_with("trusted.overlay.") || name.starts_with("user.slipway.");
}

}  // namespace slipway::layer
