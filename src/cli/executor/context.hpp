// ExecutorContext: what --context means to kaniko, as what a build takes (spec/dockerfile.md section 14).
//
//   DIR, dir://DIR                 a directory
//   tar://FILE, tar://stdin        an archive, plain or compressed
//   git://HOST/PATH#REF#COMMIT     a repository, over https (GIT_PULL_METHOD=http: http)
//   https://…                      an archive, or a Dockerfile
//   s3://BUCKET/KEY                an archive, by a request signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
//
// gs:// and private Azure blobs are refused, with the way out. Opens nothing.
#pragma once

#include <string>

#include "base/time.hpp"
#include "build/build.hpp"
#include "cli/executor/options.hpp"

namespace slipway::cli {

struct ExecutorContext {
  std::string context;    ///< for build::Request
  std::string archive;    ///< a file to read as standard input; empty: none
  std::string directory;  ///< inside of it
  build::GitContext git;
  std::string note;  ///< to be told as a warning; mostly empty
};

/// `now` is the time of a signature. Errors are kUsage, or kUnimplemented where a way out is told.
[[nodiscard]] Result<ExecutorContext> executor_context(const ExecutorOptions& options,
                                                       const registry::Environment& environment, Timestamp now);

}  // namespace slipway::cli
