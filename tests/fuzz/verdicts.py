"""What our reader makes of the corpora where it and they differ: each case, with the reason.

These are decisions. A case that comes or goes is a change of what people can write.
"""

from __future__ import annotations

# Valid YAML that is refused: what the language leaves out, and what libyaml cannot read.
YAML_REFUSED: dict[str, str] = {
    "Tags.": (
        "2AUY 2XXW 33X3 35KP 52DL 565N 57H4 6JWB 6WLZ 735Y 74H7 7FWL 8MK2 9KAX 9WXW BU8L CUP7 "
        "EHF6 F2C7 FH7J HMQ5 J7PZ L94M LE5A M5C3 S4JQ UGM3 UKK6-2 WZ62 Z67P"
    ),
    "Directives, also those that YAML only warns of.": (
        "2LFX 5TYM 6CK3 6LVF BEC7 C4HZ CC74 MUS6-2 MUS6-3 MUS6-4 MUS6-5 MUS6-6 P76L U3C3 W4TN Z9M4"
    ),
    "More than one document, or what ends one.": (
        "6XDY 6ZKB 7Z25 9DXL HWV9 JHB9 KSS4 L383 M7A3 PUW8 QT73 RZT7 U9NS"
    ),
    "Nothing in it.": ("8G76 98YD AVM7"),
    "Keys that are no text, or empty ones.": (
        "26DV 2JQS 4FJ6 6BFJ 6M2F 6PBE 9MMW DFF7 E76Z KK5P LX3P M2N8-0 M2N8-1 M5DY NHX8 NKF9 "
        "PW8X Q9WF RZP5 S3PD SBG9 SM9W-1 UKK6-0 V9D5 X38W XW4D"
    ),
    "Tabs where blanks indent or separate.": (
        "6BCT 6CA3 96NN-0 96NN-1 A2M4 DK95-0 DK95-3 DK95-4 Q5MG R4YG Y79Y-1 Y79Y-10"
    ),
    "Names of anchors other than of letters, digits, _ and -.": ("2SXE 8XYN W5VH Y2GN"),
    "In brackets: values that begin with : or ?, a key and its colon on two lines.": (
        "4ABK 4MUZ-0 4MUZ-1 4MUZ-2 58MP 5MUD 5T43 652Z 9SA2 CFD4 DBG4 FRK4 HM87-0 HM87-1 K3WX "
        "NJ66 UT92 VJP3-1"
    ),
    "Block text at the margin.": ("DK3J FP8R"),
}

# Invalid YAML that is read: libyaml is laxer, and each of these has one meaning only.
YAML_READ: dict[str, object] = {
    "9C9N": {"flow": ["a", "b", "c"]},
    "DK95-1": {"foo": "bar baz"},
    "G5U8": [["-", "-"]],
    "QB6E": {"quoted": "a b c"},
    "S98Z": {"empty block scalar": ""},
    "Y79Y-3": [["foo", "foo"]],
    "YJV2": ["-"],
}

# JSON that is refused, and of what JSON leaves open (`i_`) what we refuse.
JSON_REFUSED: dict[str, str] = {
    "Numbers that no float and no count can be.": (
        "i_number_huge_exp i_number_neg_int_huge_exp i_number_pos_double_huge_exp "
        "i_number_real_neg_overflow i_number_real_pos_overflow i_number_very_big_negative_int "
        "y_number_double_close_to_zero"
    ),
    "A key given twice.": "y_object_duplicated_key y_object_duplicated_key_and_value",
    "NUL, which no program can be given.": "y_object_escaped_null_in_key y_string_null_escape",
    "Surrogates: an escape in YAML is one whole character, in JSON it may be half of one.": (
        "i_object_key_lone_2nd_surrogate i_string_1st_surrogate_but_2nd_missing "
        "i_string_1st_valid_surrogate_2nd_invalid i_string_incomplete_surrogate_and_escape_valid "
        "i_string_incomplete_surrogate_pair i_string_incomplete_surrogates_escape_valid "
        "i_string_invalid_lonely_surrogate i_string_invalid_surrogate "
        "i_string_inverted_surrogates_U+1D11E i_string_lone_second_surrogate "
        "y_string_accepted_surrogate_pair y_string_accepted_surrogate_pairs "
        "y_string_last_surrogates_1_and_2 y_string_surrogates_U+1D11E_MUSICAL_SYMBOL_G_CLEF "
        "y_string_unicode_U+10FFFE_nonchar y_string_unicode_U+1FFFE_nonchar"
    ),
    "Characters that YAML 1.2 forbids, or that break lines in YAML 1.1 only.": (
        "y_string_nonCharacterInUTF-8_U+FFFF y_string_u+2028_line_sep y_string_u+2029_par_sep "
        "y_string_unescaped_char_delete y_string_with_del_character"
    ),
    "Another encoding than UTF-8, or a mark of it.": (
        "i_string_UTF-16LE_with_BOM i_string_utf16BE_no_BOM i_string_utf16LE_no_BOM "
        "i_structure_UTF-8_BOM_empty_object"
    ),
    "Too deep.": "i_structure_500_nested_arrays",
}

# No JSON, but YAML: words need no quotes, a comma may end a list, and numbers have more forms.
JSON_READ: dict[str, object] = {
    "n_array_1_true_without_comma": ["1 true"],
    "n_array_a_invalid_utf8": ["a\ufffd"],
    "n_array_colon_instead_of_comma": [{"": 1}],
    "n_array_extra_comma": [""],
    "n_array_invalid_utf8": ["\ufffd"],
    "n_array_items_separated_by_semicolon": ["1:2"],
    "n_array_just_minus": ["-"],
    "n_array_number_and_comma": [1],
    "n_incomplete_false": ["fals"],
    "n_incomplete_null": ["nul"],
    "n_incomplete_true": ["tru"],
    "n_number_++": ["++1234"],
    "n_number_+1": [1],
    "n_number_+Inf": ["+Inf"],
    "n_number_-1.0.": ["-1.0."],
    "n_number_-2.": [-2.0],
    "n_number_-NaN": ["-NaN"],
    "n_number_.-1": [".-1"],
    "n_number_.2e-3": [0.0002],
    "n_number_0.1.2": ["0.1.2"],
    "n_number_0.3e+": ["0.3e+"],
    "n_number_0.3e": ["0.3e"],
    "n_number_0.e1": [0.0],
    "n_number_0_capital_E+": ["0E+"],
    "n_number_0_capital_E": ["0E"],
    "n_number_0e+": ["0e+"],
    "n_number_0e": ["0e"],
    "n_number_1.0e+": ["1.0e+"],
    "n_number_1.0e-": ["1.0e-"],
    "n_number_1.0e": ["1.0e"],
    "n_number_1_000": ["1 000.0"],
    "n_number_1eE2": ["1eE2"],
    "n_number_2.e+3": [2000.0],
    "n_number_2.e-3": [0.002],
    "n_number_2.e3": [2000.0],
    "n_number_9.e+": ["9.e+"],
    "n_number_Inf": ["Inf"],
    "n_number_NaN": ["NaN"],
    "n_number_U+FF11_fullwidth_digit_one": ["\uff11"],
    "n_number_expression": ["1+2"],
    "n_number_hex_1_digit": [1],
    "n_number_hex_2_digits": [66],
    "n_number_infinity": ["Infinity"],
    "n_number_invalid+-": ["0e+-1"],
    "n_number_invalid-negative-real": ["-123.123foo"],
    "n_number_invalid-utf-8-in-bigger-int": ["123\ufffd"],
    "n_number_invalid-utf-8-in-exponent": ["1e1\ufffd"],
    "n_number_invalid-utf-8-in-int": ["0\ufffd"],
    "n_number_minus_infinity": ["-Infinity"],
    "n_number_minus_sign_with_trailing_garbage": ["-foo"],
    "n_number_neg_real_without_int_part": [-0.123],
    "n_number_neg_with_garbage_at_end": ["-1x"],
    "n_number_real_garbage_after_e": ["1ea"],
    "n_number_real_with_invalid_utf8_after_e": ["1e\ufffd"],
    "n_number_real_without_fractional_part": [1.0],
    "n_number_starting_with_dot": [0.123],
    "n_number_with_alpha": ["1.2a-3"],
    "n_number_with_alpha_char": ["1.8011670033376514H-308"],
    "n_object_bad_value": ["x", "truth"],
    "n_object_emoji": {"\U0001f1e8\U0001f1ed": None},
    "n_object_key_with_single_quotes": {"key": "value"},
    "n_object_lone_continuation_byte_in_key_and_trailing_comma": {"\ufffd": "0"},
    "n_object_non_string_key": {"1:1": None},
    "n_object_non_string_key_but_huge_number_instead": {"9999E9999:1": None},
    "n_object_single_quote": {"a": 0},
    "n_object_trailing_comma": {"id": 0},
    "n_object_unquoted_key": {"a": "b"},
    "n_object_with_single_string": {"foo": "bar", "a": None},
    "n_string_accentuated_char_no_quotes": ["\xe9"],
    "n_string_escaped_ctrl_char_tab": ["\t"],
    "n_string_invalid_backslash_esc": ["\x07"],
    "n_string_leading_uescaped_thinspace": ['\\u0020"asd"'],
    "n_string_no_quotes_with_bad_escape": ["\\n"],
    "n_string_single_quote": ["single quote"],
    "n_string_single_string_no_double_quotes": "abc",
    "n_string_unescaped_newline": ["new line"],
    "n_string_unescaped_tab": ["\t"],
    "n_structure_U+2060_word_joined": ["\u2060"],
    "n_structure_angle_bracket_.": "<.>",
    "n_structure_angle_bracket_null": ["<null>"],
    "n_structure_ascii-unicode-identifier": "a\xe5",
    "n_structure_capitalized_True": [True],
    "n_structure_close_unopened_array": "1]",
    "n_structure_incomplete_UTF8_BOM": "\ufffd{}",
    "n_structure_lone-invalid-utf-8": "\ufffd",
    "n_structure_number_with_trailing_garbage": "2@",
    "n_structure_object_with_comment": {"a": '/*comment*/"b"'},
    "n_structure_single_eacute": "\ufffd",
    "n_structure_uescaped_LF_before_string": ['\\u000A""'],
    "n_structure_unicode-identifier": "\xe5",
    "n_structure_whitespace_U+2060_word_joiner": ["\u2060"],
}
