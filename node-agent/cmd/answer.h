#pragma once

#include <string>
#include <vector>

#include "lib/base/error.h"
#include "lib/http1/message.h"
#include "node-agent/cmd/request.h"

// Purpose  the answers of the command protocol. Pure.
// Source   docs/command-protocol.md.
namespace ambit::cmd {

http1::Response Empty();
http1::Response NotCaptured(const std::string& reason);
// `program` and `undo` are netlink programs in JSON form.
http1::Response Captured(const std::string& reason, const std::string& token,
                         const std::string& program, const std::string& undo);
http1::Response Checked(bool captured, const std::vector<std::string>& problems);
http1::Response Ready();
http1::Response NotReady(const std::string& why, bool impaired);

// {"error","retry"}; status and retry follow from the code: kInvalidArgument and kNotFound will be
// wrong again, everything else may pass.
http1::Response Refusal(const Error& error);
// What Istio's plugin expects: 400 for a request that does not parse, else 500 and the text.
http1::Response IstioRefusal(const Error& error);
http1::Response IstioBadRequest(const Error& error);

}  // namespace ambit::cmd
