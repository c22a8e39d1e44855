// Reference: registry/repository:tag@digest, as docker's distribution/reference normalises it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "oci/digest.hpp"

namespace slipway::oci {

class Reference {
 public:
  /// "app" → docker.io/library/app:latest; "127.0.0.1:5000/team/app@sha256:…" keeps its digest and has no tag unless
  /// one is written. Grammar and limits of distribution/reference (name ≤ 255, lower case repository, tag ≤ 128).
  static Result<Reference> parse(std::string_view text);

  [[nodiscard]] const std::string& registry() const { return registry_; }      ///< "docker.io", "127.0.0.1:5000"
  [[nodiscard]] const std::string& repository() const { return repository_; }  ///< "library/debian", "team/app"
  [[nodiscard]] const std::string& tag() const { return tag_; }                ///< "" when only a digest is given
  [[nodiscard]] const std::optional<Digest>& digest() const { return digest_; }
  [[nodiscard]] std::string canonical() const;      ///< "docker.io/library/debian:12": the key of names in the store
  [[nodiscard]] std::string familiar() const;       ///< "debian:12": what users see
  [[nodiscard]] std::string familiar_name() const;  ///< "debian", without tag and digest
  /// The same name with this tag; a digest stays. A tag that is none is a bug (std::invalid_argument): ask is_tag()
  /// first.
  [[nodiscard]] Reference with_tag(std::string tag) const;
  /// The same name with this digest; a tag stays.
  [[nodiscard]] Reference with_digest(const Digest& digest) const;
  /// Whether `text` can be a tag: [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}.
  [[nodiscard]] static bool is_tag(std::string_view text);
  friend bool operator==(const Reference&, const Reference&) = default;

 private:
  Reference() = default;
  [[nodiscard]] std::string suffix() const;  // ":tag@digest"
  std::string registry_, repository_, tag_;
  std::optional<Digest> digest_;
};

}  // namespace slipway::oci
