/* Made by tests/peers/exchange_transformers.py --values with transformers 5.24.0 in fp32. */
static const char llama_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"attention_bias\": false, \"attention_dropout\": 0.0, \"bos_toke"
    "n_id\": 1, \"eos_token_id\": 2, \"head_dim\": 16, \"hidden_act\": \"silu\", \"hidden_size\": 32, \"initializer_r"
    "ange\": 0.02, \"intermediate_size\": 48, \"max_position_embeddings\": 64, \"mlp_bias\": false, \"model_type\""
    ": \"llama\", \"num_attention_heads\": 2, \"num_hidden_layers\": 2, \"num_key_value_heads\": 1, \"pad_token_id"
    "\": null, \"pretraining_tp\": 1, \"rms_norm_eps\": 1e-06, \"rope_parameters\": {\"rope_theta\": 10000.0, \"rop"
    "e_type\": \"default\"}, \"tie_word_embeddings\": false, \"transformers_version\": \"5.24.0\", \"use_cache\": tr"
    "ue, \"vocab_size\": 330}";
static const yk_safe_item llama_tensors[] = {
    {"model.embed_tokens.weight", 2, {330, 32}},
    {"model.layers.0.self_attn.q_proj.weight", 2, {32, 32}},
    {"model.layers.0.self_attn.k_proj.weight", 2, {16, 32}},
    {"model.layers.0.self_attn.v_proj.weight", 2, {16, 32}},
    {"model.layers.0.self_attn.o_proj.weight", 2, {32, 32}},
    {"model.layers.0.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.0.input_layernorm.weight", 1, {32}},
    {"model.layers.0.post_attention_layernorm.weight", 1, {32}},
    {"model.layers.1.self_attn.q_proj.weight", 2, {32, 32}},
    {"model.layers.1.self_attn.k_proj.weight", 2, {16, 32}},
    {"model.layers.1.self_attn.v_proj.weight", 2, {16, 32}},
    {"model.layers.1.self_attn.o_proj.weight", 2, {32, 32}},
    {"model.layers.1.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.1.input_layernorm.weight", 1, {32}},
    {"model.layers.1.post_attention_layernorm.weight", 1, {32}},
    {"model.norm.weight", 1, {32}},
    {"lm_head.weight", 2, {330, 32}},
};
static const float llama_logits[FEW][PROBES] = {
    {-0.263156593f, 0.993534982f, -0.655777991f, 0.331252635f, 3.06300735f, -0.175185502f},
    {0.643653989f, 0.816998541f, 0.532178819f, 0.409268707f, 1.52739203f, -0.441785961f},
    {1.18708909f, 1.14144588f, -0.767531395f, 1.01701272f, 1.09146833f, -0.0851401314f},
    {0.804465771f, 1.00776148f, 0.255429775f, 0.107677527f, 2.82974315f, 0.564697564f},
    {0.676005602f, 0.256491542f, 1.33467031f, 0.845437527f, 0.184052587f, 0.832909822f},
    {0.881748855f, 1.27221489f, -0.930783391f, 0.878615797f, 2.32281566f, -0.186005354f},
    {0.947778463f, -0.278048962f, 0.319958657f, 0.819120646f, -0.325642556f, 0.0283019859f},
    {0.714843452f, 1.10988855f, -0.582667768f, 0.400049925f, 1.9081862f, -1.44793081f},
    {1.26753628f, 0.982597411f, 0.411747098f, 0.980580866f, 0.901405096f, -1.32084584f},
    {0.884156704f, 0.576775372f, 0.585345864f, -0.0882595405f, 0.960071862f, -0.645627975f},
    {-1.04206538f, -0.191101626f, 0.300415516f, -1.49389815f, 1.24888396f, -1.26912868f},
    {0.291849136f, 0.757301152f, 0.0454999804f, -0.732488751f, 1.74274337f, -1.52251065f}};
static const char llama3_config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"attention_bias\": false, \"attention_dropout\": 0.0, \"bos_toke"
    "n_id\": 1, \"eos_token_id\": 2, \"head_dim\": 32, \"hidden_act\": \"silu\", \"hidden_size\": 32, \"initializer_r"
    "ange\": 0.02, \"intermediate_size\": 48, \"max_position_embeddings\": 64, \"mlp_bias\": false, \"model_type\""
    ": \"llama\", \"num_attention_heads\": 2, \"num_hidden_layers\": 2, \"num_key_value_heads\": 1, \"pad_token_id"
    "\": null, \"pretraining_tp\": 1, \"rms_norm_eps\": 1e-06, \"rope_parameters\": {\"factor\": 8.0, \"high_freq_f"
    "actor\": 4.0, \"low_freq_factor\": 1.0, \"original_max_position_embeddings\": 32, \"rope_theta\": 500.0, \"r"
    "ope_type\": \"llama3\"}, \"tie_word_embeddings\": true, \"transformers_version\": \"5.24.0\", \"use_cache\": tr"
    "ue, \"vocab_size\": 330}";
static const yk_safe_item llama3_tensors[] = {
    {"model.embed_tokens.weight", 2, {330, 32}},
    {"model.layers.0.self_attn.q_proj.weight", 2, {64, 32}},
    {"model.layers.0.self_attn.k_proj.weight", 2, {32, 32}},
    {"model.layers.0.self_attn.v_proj.weight", 2, {32, 32}},
    {"model.layers.0.self_attn.o_proj.weight", 2, {32, 64}},
    {"model.layers.0.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.0.input_layernorm.weight", 1, {32}},
    {"model.layers.0.post_attention_layernorm.weight", 1, {32}},
    {"model.layers.1.self_attn.q_proj.weight", 2, {64, 32}},
    {"model.layers.1.self_attn.k_proj.weight", 2, {32, 32}},
    {"model.layers.1.self_attn.v_proj.weight", 2, {32, 32}},
    {"model.layers.1.self_attn.o_proj.weight", 2, {32, 64}},
    {"model.layers.1.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.1.input_layernorm.weight", 1, {32}},
    {"model.layers.1.post_attention_layernorm.weight", 1, {32}},
    {"model.norm.weight", 1, {32}},
};
static const float llama3_logits[FEW][PROBES] = {
    {-0.377642095f, -1.47493708f, 0.293417484f, 1.1960324f, -0.920967281f, 0.209690109f},
    {-1.1213752f, -0.568258703f, -0.889387131f, -0.75712043f, 1.06736839f, -0.274580806f},
    {-0.339643121f, -0.568156242f, 0.652587295f, 1.0819633f, -0.0215621013f, -0.0384635404f},
    {0.244959936f, -1.30813909f, -0.0376007818f, -0.558466494f, 0.326474011f, -0.0736384913f},
    {0.706446052f, -2.54651904f, 0.672746003f, -0.69849211f, 0.549238443f, -0.592251778f},
    {0.532695472f, -2.54896522f, -0.612759352f, -0.887735426f, 0.017771421f, -0.228829518f},
    {-0.486419052f, -1.21842527f, 0.671967089f, 0.735844076f, 0.0268291589f, 0.725770712f},
    {0.273649484f, -0.406353414f, -0.11503312f, -0.253821015f, 0.255447716f, -0.896438718f},
    {1.50718546f, -2.62092829f, 1.36648405f, 1.60819709f, -0.772996664f, 0.00207431288f},
    {0.53081429f, -2.38970423f, 0.783316851f, 0.349213421f, -0.590074837f, 0.144619778f},
    {-0.107547797f, -2.41255736f, 0.909923494f, -0.232576966f, -0.0384845547f, -1.10154605f},
    {1.52321994f, -1.19510996f, 1.93988514f, 0.943166673f, -0.814444542f, 0.123520374f}};
static const char qwen2_config[] =
    "{\"architectures\": [\"Qwen2ForCausalLM\"], \"attention_dropout\": 0.0, \"bos_token_id\": null, \"eos_token_i"
    "d\": null, \"hidden_act\": \"silu\", \"hidden_size\": 32, \"initializer_range\": 0.02, \"intermediate_size\": 4"
    "8, \"layer_types\": [\"full_attention\", \"full_attention\"], \"max_position_embeddings\": 64, \"max_window_l"
    "ayers\": 28, \"model_type\": \"qwen2\", \"num_attention_heads\": 2, \"num_hidden_layers\": 2, \"num_key_value_"
    "heads\": 1, \"pad_token_id\": null, \"rms_norm_eps\": 1e-06, \"rope_parameters\": {\"rope_theta\": 10000.0, \""
    "rope_type\": \"default\"}, \"sliding_window\": null, \"tie_word_embeddings\": false, \"transformers_version\""
    ": \"5.24.0\", \"use_cache\": true, \"use_sliding_window\": false, \"vocab_size\": 330}";
static const yk_safe_item qwen2_tensors[] = {
    {"model.embed_tokens.weight", 2, {330, 32}},
    {"model.layers.0.self_attn.q_proj.weight", 2, {32, 32}},
    {"model.layers.0.self_attn.q_proj.bias", 1, {32}},
    {"model.layers.0.self_attn.k_proj.weight", 2, {16, 32}},
    {"model.layers.0.self_attn.k_proj.bias", 1, {16}},
    {"model.layers.0.self_attn.v_proj.weight", 2, {16, 32}},
    {"model.layers.0.self_attn.v_proj.bias", 1, {16}},
    {"model.layers.0.self_attn.o_proj.weight", 2, {32, 32}},
    {"model.layers.0.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.0.input_layernorm.weight", 1, {32}},
    {"model.layers.0.post_attention_layernorm.weight", 1, {32}},
    {"model.layers.1.self_attn.q_proj.weight", 2, {32, 32}},
    {"model.layers.1.self_attn.q_proj.bias", 1, {32}},
    {"model.layers.1.self_attn.k_proj.weight", 2, {16, 32}},
    {"model.layers.1.self_attn.k_proj.bias", 1, {16}},
    {"model.layers.1.self_attn.v_proj.weight", 2, {16, 32}},
    {"model.layers.1.self_attn.v_proj.bias", 1, {16}},
    {"model.layers.1.self_attn.o_proj.weight", 2, {32, 32}},
    {"model.layers.1.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.1.input_layernorm.weight", 1, {32}},
    {"model.layers.1.post_attention_layernorm.weight", 1, {32}},
    {"model.norm.weight", 1, {32}},
    {"lm_head.weight", 2, {330, 32}},
};
static const float qwen2_logits[FEW][PROBES] = {
    {-0.288804799f, 0.934595823f, -0.562661469f, 0.161419615f, 3.10361314f, -0.134693384f},
    {0.714908481f, 0.700313389f, 0.683688283f, 0.389706641f, 1.26411843f, -0.252260506f},
    {1.03444123f, 1.04655838f, -0.735005617f, 0.480411202f, 1.60251093f, 0.166754216f},
    {0.828798711f, 1.00992787f, 0.499380291f, 0.391570151f, 3.08173633f, 0.851582348f},
    {0.750883758f, 0.0673543066f, 1.33123922f, 1.63512564f, 0.666320622f, 1.46067584f},
    {0.697644889f, 1.10151052f, -0.521541119f, 0.93569994f, 2.60162067f, 0.407442123f},
    {0.810204029f, -0.338089436f, 0.910101891f, 1.137658f, 0.23395659f, 0.347876102f},
    {0.669589579f, 1.05167723f, -0.557674885f, 0.659354687f, 2.41003036f, -0.666444302f},
    {0.943399251f, 0.457466811f, 0.492871344f, 1.31147075f, 0.2023509f, -0.882109165f},
    {0.474835783f, 0.24428539f, 1.38879108f, 0.613234043f, 1.13769448f, 0.279434919f},
    {-0.576282322f, 0.394854456f, 1.118343f, -0.446178943f, 1.14552045f, -1.97277784f},
    {1.259148f, 0.5914011f, 0.617498875f, 0.926648259f, 1.51401806f, -1.51965678f}};
static const char qwen3_config[] =
    "{\"architectures\": [\"Qwen3ForCausalLM\"], \"attention_bias\": false, \"attention_dropout\": 0.0, \"bos_toke"
    "n_id\": null, \"eos_token_id\": null, \"head_dim\": 16, \"hidden_act\": \"silu\", \"hidden_size\": 32, \"initial"
    "izer_range\": 0.02, \"intermediate_size\": 48, \"layer_types\": [\"full_attention\", \"full_attention\"], \"ma"
    "x_position_embeddings\": 64, \"max_window_layers\": 28, \"model_type\": \"qwen3\", \"num_attention_heads\": 2"
    ", \"num_hidden_layers\": 2, \"num_key_value_heads\": 1, \"pad_token_id\": null, \"rms_norm_eps\": 1e-06, \"ro"
    "pe_parameters\": {\"rope_theta\": 10000.0, \"rope_type\": \"default\"}, \"sliding_window\": null, \"tie_word_e"
    "mbeddings\": false, \"transformers_version\": \"5.24.0\", \"use_cache\": true, \"use_sliding_window\": false,"
    " \"vocab_size\": 330}";
static const yk_safe_item qwen3_tensors[] = {
    {"model.embed_tokens.weight", 2, {330, 32}},
    {"model.layers.0.self_attn.q_proj.weight", 2, {32, 32}},
    {"model.layers.0.self_attn.k_proj.weight", 2, {16, 32}},
    {"model.layers.0.self_attn.v_proj.weight", 2, {16, 32}},
    {"model.layers.0.self_attn.o_proj.weight", 2, {32, 32}},
    {"model.layers.0.self_attn.q_norm.weight", 1, {16}},
    {"model.layers.0.self_attn.k_norm.weight", 1, {16}},
    {"model.layers.0.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.0.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.0.input_layernorm.weight", 1, {32}},
    {"model.layers.0.post_attention_layernorm.weight", 1, {32}},
    {"model.layers.1.self_attn.q_proj.weight", 2, {32, 32}},
    {"model.layers.1.self_attn.k_proj.weight", 2, {16, 32}},
    {"model.layers.1.self_attn.v_proj.weight", 2, {16, 32}},
    {"model.layers.1.self_attn.o_proj.weight", 2, {32, 32}},
    {"model.layers.1.self_attn.q_norm.weight", 1, {16}},
    {"model.layers.1.self_attn.k_norm.weight", 1, {16}},
    {"model.layers.1.mlp.gate_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.up_proj.weight", 2, {48, 32}},
    {"model.layers.1.mlp.down_proj.weight", 2, {32, 48}},
    {"model.layers.1.input_layernorm.weight", 1, {32}},
    {"model.layers.1.post_attention_layernorm.weight", 1, {32}},
    {"model.norm.weight", 1, {32}},
    {"lm_head.weight", 2, {330, 32}},
};
static const float qwen3_logits[FEW][PROBES] = {
    {-0.263156593f, 0.993534982f, -0.655777991f, 0.331252635f, 3.06300735f, -0.175185502f},
    {0.604396522f, 0.644011021f, 0.81113565f, 0.56371212f, 1.10761666f, -0.110652342f},
    {1.24759579f, 1.23578966f, -1.15670872f, 0.878519714f, 1.16412497f, 0.0962945148f},
    {0.71315974f, 1.06811464f, 0.197134808f, 0.318559945f, 2.67124629f, 0.51429224f},
    {0.322766393f, 0.316318959f, 1.23431134f, 0.977443099f, -0.0312969796f, 1.43464446f},
    {1.01659536f, 1.46478403f, -1.10551751f, 0.965016127f, 2.08202362f, -0.170700893f},
    {1.04893923f, -0.0107377898f, 0.61405021f, 0.401698798f, -0.552562118f, -0.196732998f},
    {0.888482511f, 1.30905163f, -0.998428524f, 0.932913661f, 1.9512924f, -1.15767288f},
    {1.12239742f, 0.886939764f, 0.983729541f, 0.749562562f, 0.810960889f, -1.18557787f},
    {1.05827153f, 0.595096111f, 1.21903694f, 0.121455304f, 1.24154603f, -0.841476858f},
    {-1.26812041f, -0.238756254f, 0.311636984f, -1.69468009f, 1.10792136f, -1.06927001f},
    {0.672148526f, 0.835278571f, -0.055609107f, -0.10785573f, 1.29928899f, -1.29889333f}};
static const char gpt2_config[] =
    "{\"activation_function\": \"gelu_new\", \"add_cross_attention\": false, \"architectures\": [\"GPT2LMHeadModel"
    "\"], \"attn_pdrop\": 0.1, \"bos_token_id\": 50256, \"embd_pdrop\": 0.1, \"eos_token_id\": 50256, \"initializer"
    "_range\": 0.02, \"layer_norm_epsilon\": 1e-05, \"model_type\": \"gpt2\", \"n_embd\": 32, \"n_head\": 2, \"n_inne"
    "r\": null, \"n_layer\": 2, \"n_positions\": 64, \"pad_token_id\": null, \"reorder_and_upcast_attn\": false, \""
    "resid_pdrop\": 0.1, \"scale_attn_by_inverse_layer_idx\": false, \"scale_attn_weights\": true, \"summary_ac"
    "tivation\": null, \"summary_first_dropout\": 0.1, \"summary_proj_to_labels\": true, \"summary_type\": \"cls_"
    "index\", \"summary_use_proj\": true, \"tie_word_embeddings\": true, \"transformers_version\": \"5.24.0\", \"us"
    "e_cache\": true, \"vocab_size\": 330}";
static const yk_safe_item gpt2_tensors[] = {
    {"transformer.wte.weight", 2, {330, 32}},
    {"transformer.wpe.weight", 2, {64, 32}},
    {"transformer.h.0.ln_1.weight", 1, {32}},
    {"transformer.h.0.ln_1.bias", 1, {32}},
    {"transformer.h.0.attn.c_attn.weight", 2, {32, 96}},
    {"transformer.h.0.attn.c_attn.bias", 1, {96}},
    {"transformer.h.0.attn.c_proj.weight", 2, {32, 32}},
    {"transformer.h.0.attn.c_proj.bias", 1, {32}},
    {"transformer.h.0.ln_2.weight", 1, {32}},
    {"transformer.h.0.ln_2.bias", 1, {32}},
    {"transformer.h.0.mlp.c_fc.weight", 2, {32, 128}},
    {"transformer.h.0.mlp.c_fc.bias", 1, {128}},
    {"transformer.h.0.mlp.c_proj.weight", 2, {128, 32}},
    {"transformer.h.0.mlp.c_proj.bias", 1, {32}},
    {"transformer.h.1.ln_1.weight", 1, {32}},
    {"transformer.h.1.ln_1.bias", 1, {32}},
    {"transformer.h.1.attn.c_attn.weight", 2, {32, 96}},
    {"transformer.h.1.attn.c_attn.bias", 1, {96}},
    {"transformer.h.1.attn.c_proj.weight", 2, {32, 32}},
    {"transformer.h.1.attn.c_proj.bias", 1, {32}},
    {"transformer.h.1.ln_2.weight", 1, {32}},
    {"transformer.h.1.ln_2.bias", 1, {32}},
    {"transformer.h.1.mlp.c_fc.weight", 2, {32, 128}},
    {"transformer.h.1.mlp.c_fc.bias", 1, {128}},
    {"transformer.h.1.mlp.c_proj.weight", 2, {128, 32}},
    {"transformer.h.1.mlp.c_proj.bias", 1, {32}},
    {"transformer.ln_f.weight", 1, {32}},
    {"transformer.ln_f.bias", 1, {32}},
};
static const float gpt2_logits[FEW][PROBES] = {
    {0.245595247f, -0.866794586f, -0.525889754f, -2.04751611f, 0.687222004f, 0.340111107f},
    {0.62863791f, -0.881828129f, -0.114500254f, -1.89744461f, -0.119710937f, 0.208028167f},
    {-1.2138325f, -0.336627007f, -1.00859582f, -0.180379957f, -0.885132015f, -0.392968774f},
    {0.970435321f, -1.16303384f, -0.333557874f, -1.99159062f, -1.41429472f, -0.656872332f},
    {0.799065351f, -0.989203334f, -1.21349335f, -2.59355998f, -0.414730936f, -0.0944873467f},
    {0.938392103f, -1.62826765f, -0.860579491f, -1.96592581f, 0.552714109f, 0.137170956f},
    {0.956063271f, -0.385690182f, -0.768937588f, -1.39444804f, -0.421082109f, -0.36437276f},
    {0.986504257f, -0.493921369f, 0.181567222f, -0.840510845f, -0.279812276f, 0.312655896f},
    {0.256744355f, -1.2198565f, -0.90792197f, -1.32858157f, 0.0106982505f, 0.116456859f},
    {0.563554645f, -0.0330554247f, 0.331362426f, -1.07980764f, -1.38708067f, -0.409139007f},
    {0.18140167f, -1.10256195f, -1.6267972f, -1.56622362f, 0.865738034f, 0.118097797f},
    {-0.0482343361f, -0.950423479f, -0.0945445821f, -0.278609425f, -1.97713983f, -0.831782877f}};
