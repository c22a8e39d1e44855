// Keys for tests, made by ssh-keygen and gone with the object.
#pragma once

#include <openssl/evp.h>

#include <string>
#include <vector>

#include "base/text.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::ssh {

class KeyMaker {
 public:
  /// Whether this machine has ssh-keygen.
  static bool there() { return access("/usr/bin/ssh-keygen", X_OK) == 0; }

  /// The path of a new key; `NAME.pub` beside it.
  std::string make(const std::string& name, const std::vector<std::string>& options,
                   const std::string& passphrase = "") {
    std::vector<std::string> argv = {"-q", "-N", passphrase, "-C", name + "@test", "-f", path(name)};
    argv.insert(argv.end(), options.begin(), options.end());
    keygen(std::move(argv));
    return path(name);
  }
  /// The same key in another format: PEM or PKCS8.
  std::string convert(const std::string& from, const std::string& name, const std::string& format,
                      const std::string& passphrase = "") {
    (void)sys::run({.argv = {"/bin/cp", path(from), path(name)}}, "", {}, 10'000, 4096);
    keygen({"-q", "-p", "-P", "", "-N", passphrase, "-m", format, "-f", path(name)});
    return path(name);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  [[nodiscard]] std::string text(const std::string& name) const { return sys::read_file(path(name), 1 << 20).value(); }
  /// What the file of the public half says, decoded.
  [[nodiscard]] std::string public_blob(const std::string& name) const {
    const std::string line = text(name + ".pub");
    const std::string base64(split(line, ' ').at(1));
    std::string out(base64.size(), '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(base64.data()), static_cast<int>(base64.size()));
    const auto padding = static_cast<std::size_t>(std::count(base64.begin(), base64.end(), '='));
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
  }

 private:
  void keygen(std::vector<std::string> argv) {
    argv.insert(argv.begin(), "/usr/bin/ssh-keygen");
    const auto done =
        sys::run({.argv = std::move(argv), .environment = {"PATH=/usr/bin:/bin"}}, "", {}, 60'000, 1 << 16);
    if (!done || !done->status.ok()) throw std::runtime_error("ssh-keygen failed");
  }
  sys::TempDir directory_ = sys::TempDir::make("/tmp", "slipway-ssh-test-").value();
};

}  // namespace slipway::ssh
