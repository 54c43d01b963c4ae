//! The socket sink.

use super::super::setting::{Fallback, SETTING, Set, Setting, put, t2};
use crate::cli::{SocketType, parse_content, parse_name, parse_port, parse_socket_type};

const SOCKET: Option<&str> = Some("Socket sink");

pub(super) static SETTINGS: [Setting; 4] = [
    Setting {
        name: "socket-addr",
        t2: t2("SKS_SERVADD"),
        value: "HOST",
        default: Fallback::Is("127.0.0.1"),
        heading: SOCKET,
        help: "Name or address of who listens",
        set: Set::Text(|to, text| put(&mut to.socket_addr, parse_name(text))),
        ..SETTING
    },
    Setting {
        name: "socket-port",
        t2: t2("SKS_DPORT"),
        value: "N",
        default: Fallback::Is("6666"),
        heading: SOCKET,
        help: "Its port",
        set: Set::Text(|to, text| put(&mut to.socket_port, parse_port(text))),
        ..SETTING
    },
    Setting {
        name: "socket-type",
        t2: t2("SKS_SOCKTYPE"),
        value: "udp|tcp",
        default: Fallback::Is("tcp"),
        heading: SOCKET,
        help: "One stream, or one datagram a flow",
        set: Set::Text(|to, text| {
            to.socket_type = match parse_socket_type(text) {
                Ok(kind @ (SocketType::Udp | SocketType::Tcp)) => kind,
                _ => return Err("udp (0) or tcp (1) expected".to_owned()),
            };
            Ok(())
        }),
        ..SETTING
    },
    Setting {
        name: "socket-content",
        t2: t2("SKS_CONTENT_TYPE"),
        value: "text|json",
        default: Fallback::Is("text"),
        heading: SOCKET,
        help: "Tranalyzer's text columns under a line with their names, or JSON objects",
        set: Set::Text(|to, text| put(&mut to.socket_content, parse_content(text))),
        ..SETTING
    },
];
