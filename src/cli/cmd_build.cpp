#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "build/context_source.hpp"
#include "cli/build_call.hpp"
#include "cli/build_metadata.hpp"
#include "cli/build_request.hpp"
#include "cli/build_tools.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/terminal.hpp"
#include "cli/workplace.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

constexpr std::int64_t kDockerfileLimit = 16 << 20;

Result<std::string> dockerfile_from_stdin(const Cancel& cancel) {
  const auto source = source_of(STDIN_FILENO, "standard input", cancel);
  std::string text;
  char buffer[16 * 1024];
  while (const std::size_t count = TRY(source(buffer, sizeof buffer))) {
    text.append(buffer, count);
    if (std::ssize(text) > kDockerfileLimit)
      return fail(Code::kOutOfRange, "the Dockerfile on standard input is larger than 16 MiB");
  }
  return text;
}

Status check_parent(const std::string& file, const std::string& what) {
  const auto slash = file.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : file.substr(0, slash + 1);
  struct stat info{};
  if (::stat(parent.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
  return fail(Code::kNotFound, "cannot write {} {}: there is no directory {}", what, quoted(file), quoted(parent));
}

Status check_destination(const build::Output& output) {
  using Type = build::Output::Type;
  if (output.destination.empty() || output.destination == "-") return {};
  struct stat info{};
  const bool there = ::stat(output.destination.c_str(), &info) == 0;
  if (output.type == Type::kLocal || output.directory) {
    if (!there || S_ISDIR(info.st_mode)) return {};
    return fail(Code::kInvalidArgument, "cannot write the output into {}: it is no directory",
                quoted(output.destination));
  }
  if (there && S_ISDIR(info.st_mode)) {
    Error error(Code::kInvalidArgument,
                fmt::format("cannot write the output to {}: it is a directory", quoted(output.destination)));
    if (output.type == Type::kOci) error.with_hint("tar=false writes an OCI layout into a directory");
    return std::unexpected(std::move(error));
  }
  return check_parent(output.destination, "the output");
}

/// What can be known to fail is told before any work is done.
Status check_before(const build::Request& request) {
  const auto check_folder = [](const std::string& what, const std::string& folder) -> Status {
    struct stat info{};
    if (::stat(folder.c_str(), &info) < 0)
      return fail(Code::kNotFound, "unable to prepare {}: path {} not found", what, quoted(folder));
    if (S_ISDIR(info.st_mode)) return {};
    return std::unexpected(
        Error(Code::kInvalidArgument, fmt::format("unable to prepare {}: {} is no directory", what, quoted(folder)))
            .with_hint("a context is a directory; -f names the Dockerfile"));
  };
  if (build::context_kind(request.context) == build::ContextKind::kFolder)
    TRY(check_folder("context", request.context));
  for (const auto& named : request.contexts) {
    if (named.kind == build::NamedContext::Kind::kFolder)
      TRY(check_folder(fmt::format("context {}", named.name), named.value));
  }
  for (const auto& output : request.outputs) {
    TRY(check_destination(output));
    if (output.destination == "-" && is_terminal(STDOUT_FILENO)) {
      return std::unexpected(Error(Code::kUsage, "refusing to write an archive to a terminal")
                                 .with_hint("redirect standard output, or name a file: -o type=tar,dest=FILE"));
    }
  }
  return {};
}

/// What an earlier build left must not be taken for this one's.
Status forget_old(const std::string& file) {
  const auto there = TRY(sys::lstat_at(AT_FDCWD, file));
  return there && S_ISREG(there->st_mode) ? sys::unlink_at(AT_FDCWD, file) : Status{};
}

Status write_result(const std::string& path, const std::string& text) {
  auto file = TRY(OutputFile::create(path));
  TRY(file.write(text));
  return file.finish();
}

/// BuildKit's words for a build that failed, so that logs are searched as before.
Error failed_to_solve(const Error& error) {
  if (error.code() == Code::kCancelled || error.code() == Code::kUsage) return error;
  Error out = Error(error.code(), "failed to solve: " + error.what()).with_errno(error.sys_errno());
  for (const auto& line : error.contexts()) out.add_context(line);
  if (error.range()) out.with_range(*error.range());
  return std::move(out.with_hint(error.hint()).with_excerpt(error.excerpt()));
}

/// `findings` is what is to be said of the Dockerfile behind all else, whether the build worked or not.
Result<build::Outcome> build_it(Session& session, const Arguments& arguments, const build::Request& request,
                                ProgressReader& reader, FindingsShown shown, std::string& findings) {
  auto client = TRY(session.registry_client(arguments));
  show_waits(client, reader);
  const auto work = [&](build::Tools& tools) -> Result<build::Outcome> {
    tools.checked = [&](const dockerfile::File& file, const dockerfile::Checked& checked) {
      if (shown == FindingsShown::kAsText) findings = findings_text(file, checked, session.debug);
      if (shown != FindingsShown::kAsEvents) return;
      for (const auto& finding : checked.findings) reader.on(progress::Warning{dockerfile::warning_text(finding)});
    };
    auto outcome = build::build(request, tools, reader, session.cancel);
    if (!outcome) return std::unexpected(failed_to_solve(outcome.error()));
    return outcome;
  };
  return with_build_tools<build::Outcome>(session, request, client, work);
}

Result<int> run(Session& session, const Arguments& arguments) {
  auto request = TRY(build_request(arguments, session.environment));
  const Call call = TRY(parse_call(arguments));
  auto reader = TRY(session.progress(arguments, "Building"));
  const auto iidfile = arguments.value("iidfile"), metadata = arguments.value("metadata-file");
  if (iidfile && call.method == Call::Method::kBuild) TRY(forget_old(*iidfile));
  if (metadata && call.method == Call::Method::kBuild) TRY(forget_old(*metadata));
  TRY(check_before(request));
  if (iidfile) TRY(check_parent(*iidfile, "the digest to"));
  if (metadata) TRY(check_parent(*metadata, "the metadata to"));
  // What the secrets of a build are is in no core dump, and no process of this user reads it out of this one.
  if (!request.secrets.empty() || !request.ssh.empty()) (void)prctl(PR_SET_DUMPABLE, 0);
  if (request.dockerfile == "-") request.dockerfile_text = TRY(dockerfile_from_stdin(session.cancel));
  if (call.method != Call::Method::kBuild) {
    auto client = TRY(session.registry_client(arguments));
    return with_build_tools<int>(session, request, client,
                                 [&](build::Tools& tools) { return answer_call(session, request, tools, call); });
  }
  std::string findings;
  auto built = build_it(session, arguments, request, *reader, findings_shown(session, arguments), findings);
  reader->finish();
  if (!findings.empty()) session.say(findings);
  const auto outcome = TRY(std::move(built));
  bool to_stdout = false;
  for (const auto& output : request.outputs) to_stdout = to_stdout || output.destination == "-";
  if (iidfile) TRY(write_result(*iidfile, outcome.manifest.digest.text()));
  if (metadata) TRY(write_result(*metadata, build_metadata(outcome, TRY(build_id()))));
  if (arguments.flag("quiet") && !to_stdout) TRY(session.out.write(outcome.manifest.digest.text() + "\n"));
  return 0;
}

}  // namespace

const Command& build_command() {
  static const Command command = {
      .name = "build",
      .summary = "Build an image from a Dockerfile",
      .arguments = "PATH | URL | -",
      .examples = {{"slipway build -t app:1 .", "the Dockerfile here, into the store"},
                   {"slipway build -t registry.example/team/app:1 --push .", "and push it"},
                   {"slipway build --target test -o out .", "the files of a stage, into a directory"},
                   {"slipway build https://example.com/app.git#v1:docker", "a folder of a git repository, at a tag"}},
      .options = build_options(),
      .least = 1,
      .most = 1,
      .completes = Completes::kDirectory,
      .run = run,
      .notes =
          "Progress goes to standard error. With --progress rawjson it is one JSON object per line: \"time\", "
          "\"type\"\n"
          "(started, reason, cached, finished, log, transfer, warning) and what belongs to it; readers skip what they\n"
          "do not know. \"reason\" says hit or miss, and why ('slipway why' shows it afterwards).\n"
          "--quiet and --iidfile give the digest that the names point at.\n"
          "\n"
          "Keys of --output: dest (local, tar, oci, docker), tar=false (oci: a directory), name, push, "
          "push-by-digest,\n"
          "registry.insecure, store, name-canonical, dangling-name-prefix (image, registry); for all images\n"
          "compression=uncompressed|gzip|zstd, compression-level, force-compression, oci-mediatypes, annotation.KEY "
          "and\n"
          "annotation-PLACE.KEY; rewrite-timestamp=false leaves file times alone when SOURCE_DATE_EPOCH is set.\n"
          "docs/outputs.md tells them all."};
  return command;
}

}  // namespace slipway::cli
