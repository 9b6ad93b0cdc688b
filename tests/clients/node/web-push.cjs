// Runs the push service of web-push-testing, unmodified, on loopback: node web-push.cjs PORT
"use strict";
const net = require("node:net");

// The package listens on every interface; a test listens on loopback only.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest);
};

const PushApiModel = require("web-push-testing/src/PushApiModel.js");
const Server = require("web-push-testing/src/server.js");
const Model = PushApiModel.PushApiModel ?? PushApiModel;
new Server(new Model(), Number(process.argv[2])).startServer();
