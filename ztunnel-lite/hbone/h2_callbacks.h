#pragma once

#include <nghttp2/nghttp2.h>

#include "ztunnel-lite/hbone/h2_session.h"

namespace ambit::hbone {

// nghttp2's callbacks. They only note what happened; acting on it is left to Dispatch, because
// nghttp2 must not be entered again from here.
class H2Callbacks {
 public:
  // The table for both roles, made once.
  static const nghttp2_session_callbacks* Table();
  // Of a data provider.
  static ssize_t ReadData(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t length,
                          uint32_t* flags, nghttp2_data_source* source, void* user);

 private:
  static int OnBeginFrame(nghttp2_session* session, const nghttp2_frame_hd* header, void* user);
  static int CountHeaderBytes(H2Session& self, size_t bytes);
  static int CheckOpens(H2Session& self, int32_t id);
  static void NoteEnd(H2Session& self, const nghttp2_frame_hd& header);
  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_length, const uint8_t* value, size_t value_length, uint8_t flags,
                      void* user);
  static int OnFrameReceived(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static int OnDataReceived(H2Session& self, const nghttp2_frame* frame);
  static int OnHeadersReceived(H2Session& self, const nghttp2_frame* frame);
  static int OnResetReceived(H2Session& self, const nghttp2_frame* frame);
  static int OnSettingsReceived(H2Session& self, const nghttp2_frame* frame);
  static int OnPingReceived(H2Session& self, const nghttp2_frame* frame);
  static int OnDataChunk(nghttp2_session* session, uint8_t flags, int32_t id, const uint8_t* data,
                         size_t length, void* user);
  static int OnStreamClose(nghttp2_session* session, int32_t id, uint32_t error_code, void* user);
  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* user);
  static ssize_t ReadLength(nghttp2_session* session, uint8_t type, int32_t id,
                            int32_t session_window, int32_t stream_window, uint32_t frame_size,
                            void* user);
  static int SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header,
                      size_t length, nghttp2_data_source* source, void* user);
  static bool SendDirect(H2Session& self, Stream& stream, const uint8_t* header, size_t length);
  static bool SendUnsent(H2Session& self, Stream& stream, const uint8_t* header, size_t length);
  static int OnError(nghttp2_session* session, int code, const char* text, size_t length,
                     void* user);
  static Stream* Find(nghttp2_session* session, int32_t id);
  static int Flooded(H2Session& self, FloodGuard& guard, const char* what);
};

}  // namespace ambit::hbone
