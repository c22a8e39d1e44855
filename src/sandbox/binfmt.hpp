// binfmt_misc: the kernel's table of interpreters for programs that it does not run itself
// (Documentation/admin-guide/binfmt-misc.rst), as it shows it below /proc/sys/fs/binfmt_misc.
//
// A container mostly does not see the table although its programs are handed to interpreters all the same. So the table
// explains; what runs is found out by running it (emulation.hpp).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace slipway::sandbox {

/// One handler by magic number.
struct BinfmtEntry {
  std::string name;
  bool enabled = false;
  std::string interpreter;  ///< a path of the machine
  std::string flags;        ///< letters: F opens the interpreter at registration, so that it is found from any root
  std::size_t offset = 0;
  std::string magic, mask;  ///< bytes; of equal length

  /// The text of a table's file. kInvalidArgument for one that is malformed or goes by file extension.
  static Result<BinfmtEntry> parse(std::string name, std::string_view text);
  /// Whether it is asked to run a program that begins with `head`.
  [[nodiscard]] bool takes(std::string_view head) const;
};

struct BinfmtTable {
  bool visible = false;  ///< the file system is mounted
  bool enabled = false;  ///< as a whole
  std::vector<BinfmtEntry> entries;

  /// What `directory` shows; entries that can not be read are left out.
  static BinfmtTable read(const std::string& directory = "/proc/sys/fs/binfmt_misc");
  /// The handler of programs that begin with `head`, an enabled one rather than another; null: none.
  [[nodiscard]] const BinfmtEntry* find(std::string_view head) const;
};

}  // namespace slipway::sandbox
