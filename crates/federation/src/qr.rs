//! A text as a QR code in a PNG, drawn on the server: the page needs no script and no other site sees the secret.

use qrcode::{Color, EcLevel, QrCode};

/// The side of one module, pixels.
const MODULE_PX: usize = 6;
/// The white border, modules (ISO/IEC 18004 wants four).
const BORDER: usize = 4;

/// Why a text is not drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QrError {
    /// Longer than what fits.
    #[error("the text is too long for a QR code")]
    TooLong,
    /// The picture could not be written.
    #[error("the QR code could not be written as PNG")]
    Png,
}

/// `text` (an `otpauth://` address) as PNG, black on white.
///
/// # Errors
/// When the text does not fit into a QR code.
pub fn qr_png(text: &str) -> Result<Vec<u8>, QrError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| QrError::TooLong)?;
    let side = (code.width() + 2 * BORDER) * MODULE_PX;
    let side_px = u32::try_from(side).map_err(|_| QrError::TooLong)?;
    let dark = |x: usize, y: usize| {
        let module = |px: usize| (px / MODULE_PX).checked_sub(BORDER).filter(|m| *m < code.width());
        module(x).zip(module(y)).is_some_and(|at| code[at] == Color::Dark)
    };
    let pixels: Vec<u8> = (0..side)
        .flat_map(|y| (0..side).map(move |x| (x, y)))
        .map(|(x, y)| if dark(x, y) { 0 } else { 255 })
        .collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side_px, side_px);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|_| QrError::Png)?;
    writer.write_image_data(&pixels).map_err(|_| QrError::Png)?;
    writer.finish().map_err(|_| QrError::Png)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_code_inside_a_white_border() {
        let text = "otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQ";
        let made = qr_png(text).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&made)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let side = (code.width() + 8) * MODULE_PX;
        assert_eq!((info.width as usize, info.height as usize), (side, side));
        for (x, y) in (0..code.width() + 8).flat_map(|y| (0..code.width() + 8).map(move |x| (x, y))) {
            let inside = |m: usize| m.checked_sub(4).filter(|m| *m < code.width());
            let wanted = inside(x).zip(inside(y)).is_some_and(|at| code[at] == Color::Dark);
            let px = pixels[(y * MODULE_PX + 3) * side + x * MODULE_PX + 3];
            assert_eq!(px == 0, wanted, "module {x}, {y}");
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused() {
        assert_eq!(qr_png(&"x".repeat(4000)), Err(QrError::TooLong));
    }
}
