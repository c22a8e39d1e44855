// Descriptors in JSON: what manifest.cpp, index.cpp and config.cpp share. Other modules use oci/image.hpp.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "oci/image.hpp"

namespace slipway::oci {

class Json;
class JsonWriter;

/// image-spec descriptor.md "Properties": media type, digest and size are required, the size has 63 bits.
Result<Descriptor> read_descriptor(const Json& json);
/// In the order of Go's ocispec.Descriptor: mediaType, digest, size, urls, annotations, platform, artifactType.
void write_descriptor(JsonWriter& json, const Descriptor& descriptor);

/// Members architecture, os, os.version, os.features and variant of `json`, as they came; absent ones are empty.
Result<Platform> read_platform(const Json& json);

/// The object of strings `name`; none when it is absent or null.
Result<std::map<std::string, std::string>> read_string_map(const Json& json, std::string_view name);

/// What a document is by `said` (what named it) and its own mediaType; they must agree. kInvalidArgument when the
/// answer is not `wanted_oci` or `wanted_docker`. Also checks schemaVersion 2.
Result<std::string> agreed_media_type(const Json& document, std::string_view said, std::string_view wanted_oci,
                                      std::string_view wanted_docker);
/// CVE-2021-41190: the document must have none of the members that would make it another kind.
Status refuse_members(const Json& document, std::initializer_list<std::string_view> names);

}  // namespace slipway::oci
