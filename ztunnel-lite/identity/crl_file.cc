#include "ztunnel-lite/identity/crl_file.h"

#include <utility>

namespace ambit::identity {

namespace {

constexpr char kScope[] = "crl";

}  // namespace

CrlFile::CrlFile(Context context, std::function<void()> changed)
    : context_(std::move(context)),
      changed_(std::move(changed)),
      file_(context_.control, {.path = context_.path, .settle = context_.settle},
            [this](const Result<std::string>& content) {
              if (Load(content)) changed_();
            }) {
  Load(file_.Start());
}

bool CrlFile::Load(const Result<std::string>& content) {
  if (!content) {
    context_.log.Warn(
        kScope, "revocation lists: " + content.error().message() + "; what was read before stays");
    return false;
  }
  auto lists = tls::CrlSet::Parse(*content);
  if (!lists) {
    context_.log.ErrorLine(
        kScope, context_.path + ": " + lists.error().message() + "; what was read before stays");
    return false;
  }
  context_.log.Info(kScope, "revocation lists loaded",
                    {{"path", context_.path}, {"lists", static_cast<int64_t>((*lists)->size())}});
  context_.revocations.Replace(*std::move(lists));
  return true;
}

}  // namespace ambit::identity
